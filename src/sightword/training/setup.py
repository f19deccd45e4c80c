"""From a configuration to the objects of a run, each built from its own seed.

Every module is initialised from a seed of its own purpose, so two runs that share a module start it from
the same weights whatever else they train.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sightword.config import Config, ModelConfig, Precision, load
from sightword.errors import SightwordError
from sightword.objectives import catalogue
from sightword.objectives.grammar import Weighted as Wish
from sightword.pairs.captions import captions_of
from sightword.pairs.sources import Pairs
from sightword.pairs.tokenizer import ClipTokenizer, LearnedTokenizer, Tokenizer
from sightword.randomness import stream
from sightword.towers.build import build_image, build_text
from sightword.towers.joint_space import JointSpace
from sightword.training.checkpoint import fit
from sightword.training.disk import read_tensors
from sightword.training.pretrainer import Encoders, Pretrainer, Weighted
from sightword.words import Surroundings


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise SightwordError(
            f"device '{name}' cannot be used here; use --device auto, cpu or cuda"
        ) from error


def resolve_precision(config: Config) -> Precision:
    """What `auto` means here: bf16 where the processor multiplies it in hardware, else fp32."""
    if config.precision != "auto":
        return config.precision
    if choose_device(config.device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


def make_tokenizer(config: Config, pairs: Pairs) -> Tokenizer:
    """CLIP's vocabulary, or a small one learned from every caption that training may choose."""
    context = config.model.text.context
    if config.data.tokenizer == "clip":
        return ClipTokenizer(context=context)
    captions = (text for one in pairs.texts() for text in captions_of(one, config.data.captions))
    return LearnedTokenizer.train(captions, config.data.vocab, context)


def build_encoders(model: ModelConfig, tokenizer: Tokenizer, seed: int, text: bool) -> Encoders:
    """The image tower; with `text` also a text tower and the joint space.

    Raises:
        SightwordError: when the configuration contradicts itself.
    """
    with _seeded(seed, "image tower"):
        image = build_image(model.image)
    if not text:
        return Encoders({"image": image}, None)
    with _seeded(seed, "text tower"):
        words = build_text(model.text, vocab=tokenizer.vocab, pad=tokenizer.pad, eot=tokenizer.eot)
    with _seeded(seed, "joint space"):
        joint = JointSpace(image.facts.width, words.facts.width, model.embed)
    return Encoders({"image": image, "text": words}, joint)


def build_pretrainer(config: Config, tokenizer: Tokenizer, fresh: bool = True) -> Pretrainer:
    """Everything that trains, with the weights that the seed gives it.

    Args:
        config: the whole run.
        tokenizer: decides the rows of the text tower's embedding.
        fresh: False when a checkpoint's weights follow, so that `init_from` need not be there any more.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    wishes = catalogue.parse(config.objective)
    if min(wish.start for wish in wishes) > 0:
        raise SightwordError(
            f"nothing in '{config.objective}' counts from the start of training; leave out one of the @"
        )
    encoders = build_encoders(config.model, tokenizer, config.seed, text=True)
    around = Surroundings(encoders.towers["image"].facts, encoders.towers["text"].facts)  # type: ignore[arg-type]
    weighted = [_build_objective(wish, name, around, config.seed) for name, wish in _named(wishes)]
    wants = [want for w in weighted for want in w.objective.wants.values()]
    if not any(want.caption for want in wants):  # sight alone: no text tower is trained or saved
        del encoders.towers["text"]
        encoders.joint = None
    if config.init_from and fresh:
        start_from(encoders, Path(config.init_from))
    return Pretrainer(encoders, weighted, config.optimizer.ema)


def start_from(encoders: Encoders, run: Path) -> None:
    """Begin with another run's image tower (SLIP's SimCLR -> CLIP).

    Raises:
        SightwordError: when that run has no weights, or its tower is another one.
    """
    load(run)  # says so when it is no run
    file = run / "model.safetensors"
    if not file.is_file():
        raise SightwordError(f"'{run}' has no model.safetensors; --init-from needs a run that has saved")
    prefix = "towers.image."
    tensors = {k.removeprefix(prefix): v for k, v in read_tensors(file).items() if k.startswith(prefix)}
    fit(encoders.towers["image"], tensors, str(file))


def _named(wishes: tuple[Wish, ...]) -> list[tuple[str, Wish]]:
    """A name for each term; a second term of one kind is numbered."""
    seen: dict[str, int] = {}
    rows = []
    for wish in wishes:
        seen[wish.name] = seen.get(wish.name, 0) + 1
        rows.append((wish.name if seen[wish.name] == 1 else f"{wish.name}-{seen[wish.name]}", wish))
    return rows


def _build_objective(wish: Wish, name: str, around: Surroundings, seed: int) -> Weighted:
    with _seeded(seed, "objective", name):
        objective = catalogue.build(wish, around)
    return Weighted(name, objective, wish.weight, wish.start)


@contextmanager
def _seeded(seed: int, *purpose: object) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, *purpose))
        yield
