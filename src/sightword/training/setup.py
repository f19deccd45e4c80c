"""From a configuration to the objects of a run, each built from its own seed.

Every module is initialised from a seed of its own purpose, so two runs that share a module start it from
the same weights whatever else they train.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sightword.config import Colourer, Config, ModelConfig, Precision, load
from sightword.errors import SightwordError
from sightword.objectives import catalogue
from sightword.objectives.grammar import Weighted as Wish
from sightword.pairs.base import Pairs
from sightword.pairs.words.captions import captions_of
from sightword.pairs.words.tokenizer import BorrowedTokenizer, ClipTokenizer, LearnedTokenizer, Tokenizer
from sightword.towers.borrowed_hf import file_of
from sightword.towers.build import build_image, build_text
from sightword.towers.joint import JointTrunk
from sightword.towers.joint_space import JointSpace
from sightword.towers.layer import recompute_blocks
from sightword.training.locked import hold
from sightword.training.pretrained import start
from sightword.training.pretrainer import Encoders, Pretrainer, Weighted
from sightword.training.saving.checkpoint import fit
from sightword.training.seeding import seeded
from sightword.training.tensors import read_tensors
from sightword.weights.foreign import Foreign
from sightword.words import Contrast, Source, Surroundings

_MASK = "mask_token"


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


def choose_colourer(config: Config, device: torch.device) -> Colourer:
    """Who does the colours of views: with `auto` a GPU where one trains, and otherwise the loaders."""
    if config.data.colour != "auto":
        return config.data.colour
    return "device" if device.type == "cuda" else "loader"


def resolve_precision(config: Config) -> Precision:
    """What `auto` means here: bf16 where the processor multiplies it in hardware, else fp32."""
    if config.precision != "auto":
        return config.precision
    if choose_device(config.device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


def make_tokenizer(config: Config, pairs: Pairs, weights: Foreign | None = None) -> Tokenizer:
    """CLIP's vocabulary, a small one learned from every caption that training may choose, or the weights'.

    Raises:
        SightwordError: when the weights' is asked for, and there are none, or they know no captions.
    """
    context = config.model.text.context
    if config.data.tokenizer == "weights":
        if weights is None or weights.tokenizer is None:
            raise SightwordError(
                "--tokenizer weights is that of --pretrained weights with a text tower, and there are none;"
                " give --tokenizer clip or learned"
            )
        return weights.tokenizer
    if config.data.tokenizer == "text-model":
        file = file_of(config.model.text.name, "tokenizer.json", "--text-model")
        return BorrowedTokenizer.from_file(file, context)
    if config.data.tokenizer == "clip":
        return ClipTokenizer(context=context)
    captions = (text for one in pairs.texts() for text in captions_of(one, config.data.captions))
    return LearnedTokenizer.train(captions, config.data.vocab, context)


def reads_captions(config: Config) -> bool:
    """Whether any term of the objective wants captions: without one, pictures alone are enough.

    Raises:
        SightwordError: when the configuration contradicts itself.
    """
    around = look_around(config.model, ClipTokenizer(context=config.model.text.context))
    with torch.device("meta"):
        terms = [_build_objective(wish, name, around, config) for name, wish in parsed(config)]
    return any(want.caption is not None for term in terms for want in term.objective.wants.values())


@dataclass(frozen=True)
class Equipment:
    """What a run's encoders have beside the image tower."""

    text: bool  # a text tower
    trunk: bool = False  # a joint trunk
    patch_mask: bool = False  # tokens in place of what is hidden
    word_mask: bool = False
    contrast: Contrast | None = None  # how the joint space begins; None: there is none

    @classmethod
    def wanted(cls, weighted: Sequence[Weighted]) -> Equipment:
        """What objectives want; the first that says how the logits begin is heard."""
        wants = [want for w in weighted for want in w.objective.wants.values()]
        contrasts = [w.objective.contrast for w in weighted if w.objective.contrast is not None]
        biases = [c.bias for c in contrasts if c.bias is not None]
        bias = biases[0] if biases else None
        return cls(
            text=any(want.tower == "text" for want in wants),
            trunk=any(want.tower == "joint" for want in wants),
            patch_mask=any(want.keep is not None and want.keep.replace for want in wants),
            word_mask=any(want.keep_words is not None and want.keep_words.replace for want in wants),
            contrast=replace(contrasts[0], bias=bias) if contrasts else None,
        )

    @classmethod
    def saved(cls, names: Collection[str]) -> Equipment:
        """What encoders had whose tensors have these names."""
        compared = Contrast(bias=0.0 if "joint.logit_bias" in names else None)
        return cls(
            text=any(name.startswith("towers.text.") for name in names),
            trunk="towers.joint.words.weight" in names,
            patch_mask="towers.image.mask_token" in names,
            word_mask="towers.text.mask_token" in names,
            contrast=compared if "joint.logit_scale" in names else None,
        )


def look_around(model: ModelConfig, tokenizer: Tokenizer) -> Surroundings:
    """The facts of towers that are not built yet.

    Raises:
        SightwordError: when the configuration contradicts itself.
    """
    with torch.device("meta"):
        text = build_text(model.text, vocab=tokenizer.vocab, pad=tokenizer.pad, eot=tokenizer.eot)
        return Surroundings(build_image(model.image).facts, text.facts)


def build_encoders(model: ModelConfig, tokenizer: Tokenizer, seed: int, has: Equipment) -> Encoders:
    """The towers, and the joint space where somebody compares pictures and captions.

    Raises:
        SightwordError: when the configuration contradicts itself.
    """
    with seeded(seed, "image tower"):
        image = build_image(replace(model.image, mask_token=model.image.mask_token or has.patch_mask))
    towers: dict[str, torch.nn.Module] = {"image": image}
    joint = None
    if has.text:
        text = replace(model.text, mask_token=model.text.mask_token or has.word_mask)
        with seeded(seed, "text tower"):
            words = build_text(text, vocab=tokenizer.vocab, pad=tokenizer.pad, eot=tokenizer.eot)
        if tokenizer.vocab > words.facts.vocab:
            raise SightwordError(
                f"the tokenizer has {tokenizer.vocab} ids, and the text tower knows {words.facts.vocab}; give"
                " --tokenizer text-model"
            )
        towers["text"] = words
        if has.contrast is not None:
            with seeded(seed, "joint space"):
                joint = _joint_space(model, image.facts.width, words.facts.width, has.contrast)
    if has.trunk:
        with seeded(seed, "joint trunk"):
            towers["joint"] = JointTrunk(image, tokenizer.vocab, model.text.context)
    return Encoders(towers, joint)


def _joint_space(model: ModelConfig, image: int, text: int, contrast: Contrast) -> JointSpace:
    if not model.project_image and image != model.embed:
        raise SightwordError(
            f"model.project_image is false, so the image tower's {image} numbers are the joint space's, but"
            f" model.embed is {model.embed}; set model.embed={image}"
        )
    return JointSpace(image, text, model.embed, contrast, model.project_image, model.project_text_bias)


def build_pretrainer(
    config: Config, tokenizer: Tokenizer, fresh: bool = True, weights: Foreign | None = None
) -> Pretrainer:
    """Everything that trains, with the weights that the seed gives it.

    Args:
        config: the whole run.
        tokenizer: decides the rows of the text tower's embedding.
        fresh: False when a checkpoint's weights follow, so that `init_from` need not be there any more.
        weights: from elsewhere, to start with (`pretrained.weights_of`).

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    if min(wish.start for _, wish in parsed(config)) > 0:
        raise SightwordError(
            f"nothing in '{config.objective}' counts from the start of training; leave out one of the @"
        )
    around = look_around(config.model, tokenizer)
    weighted = [_build_objective(wish, name, around, config) for name, wish in parsed(config)]
    if config.data.sight and len({w.source for w in weighted}) < 2:
        raise SightwordError(
            f"--sight-data gives other pictures to terms without captions, beside others with captions;"
            f" '{config.objective}' has not both: give all its pictures by --data, or add a term such as clip"
        )
    encoders = build_encoders(config.model, tokenizer, config.seed, Equipment.wanted(weighted))
    if config.init_from and fresh:
        start_from(encoders, Path(config.init_from))
    if weights is not None:
        start(encoders, tokenizer, weights)
    hold(encoders, weighted, config)
    model = Pretrainer(encoders, weighted, config.optimizer.ema)
    if config.grad_checkpointing:
        recompute_blocks(model)
    return model


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
    own = encoders.towers["image"].state_dict()
    # A mask token comes with the objectives of a run, not with its tower.
    tensors = {k: v for k, v in tensors.items() if k in own or k != _MASK}
    fit(encoders.towers["image"], {k: v for k, v in own.items() if k == _MASK} | tensors, str(file))


def parsed(config: Config) -> list[tuple[str, Wish]]:
    """The terms of the objective, each with a name; a second term of one kind is numbered."""
    seen: dict[str, int] = {}
    rows = []
    for wish in catalogue.parse(config.objective):
        seen[wish.name] = seen.get(wish.name, 0) + 1
        rows.append((wish.name if seen[wish.name] == 1 else f"{wish.name}-{seen[wish.name]}", wish))
    return rows


def _build_objective(wish: Wish, name: str, around: Surroundings, config: Config) -> Weighted:
    with seeded(config.seed, "objective", name):
        objective = catalogue.build(wish, around)
    blind = all(want.caption is None for want in objective.wants.values())
    source: Source = "sight" if config.data.sight and blind else "pairs"
    return Weighted(name, objective, wish.weight, wish.start, source)
