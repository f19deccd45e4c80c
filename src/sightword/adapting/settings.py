"""What training is set to where a user does not say: each value with the one line that it rests on.

The numbers are those with which CLIP's own weights were fine-tuned: FLYP's, by their own loss (arXiv
2212.00638, released commands), and WiSE-FT's (arXiv 2109.01903, released commands): AdamW, learning rate 1e-5
to 3e-5, weight decay 0.1, 500 steps of warm-up and a cosine to zero; batches of 256 for small sets, of 512
for ImageNet; 10 epochs of that, 20 of middling sets and 100 of 3 to 8 thousand pictures. Those for a few
hundred pairs are CLIP-LoRA's (arXiv 2405.18541, released code): rank 2, alpha 1, learning rate 2e-4.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sightword.config import Config, load, override
from sightword.errors import SightwordError
from sightword.recipes.starting import from_weights
from sightword.study.sizing import batch_unasked
from sightword.weights.foreign import Foreign
from sightword.weights.sources import BIAS, files_of

LEAST_LR = 1e-5  # FLYP's, for CLIP's weights
FIFTH = 0.2  # of the rate of our own runs, which have seen far less; measured in docs/adapt.md
FEWEST, MOST, STEPS = 10, 100, 1000  # epochs of the largest and smallest sets, and the steps in between
WARM_STEPS, WARM_SHARE = 500, 0.1
LOOKS = 20  # at the validation pairs, at most
OWN = "sightword"  # the family of our own runs' weights
FEW, RANK, ALPHA, LORA_LR = 1000, 2, 1.0, 2e-4  # pairs below which adapters learn instead of the weights
_BATCH = (
    "pictures are told from each other within a batch: as large as leaves four steps in an epoch, 256 at most"
    " (FLYP's for small sets)"
)
_EPOCHS = (
    "FLYP took 10 epochs of ImageNet, 20 of middling sets and 100 of 3 to 8 thousand pictures; the best step"
    " by validation is kept, so too many cost time alone"
)
_WARM = "500 as FLYP and WiSE-FT, but a tenth of training at most"
_LORA = f"under {FEW:,} pairs whole weights learn them by heart; low-rank adapters learn instead (CLIP-LoRA)"
_LORA_RATE = "CLIP-LoRA's: adapters begin at nothing, and take a larger rate than weights"
_NO_LORA = (
    f"under {FEW:,} pairs low-rank adapters could learn instead; they need: pip install 'sightword[lora]'"
)
_LOSS = (
    "the loss that the weights learned by: fine-tuning by it beat others (FLYP). Whether a term like simclr"
    " adds to it when adapting is not known: sightword study measures it on your pairs"
)


@dataclass(frozen=True)
class Setting:
    """A setting by its name in config.toml, its value, and why; `given`: by the user."""

    name: str
    value: str
    reason: str
    given: bool = False

    def line(self) -> str:
        """For people."""
        return f"{self.name.rpartition('.')[2]} {self.value}: {self.reason}"


@dataclass(frozen=True)
class Known:
    """What settings are chosen by.

    pairs: to learn from.
    lr: the peak rate that the weights were trained with, where their run says it.
    adapted: that run began with others' weights itself, so that its rate is one of adapting already.
    """

    weights: Foreign
    pairs: int
    lr: float | None = None
    adapted: bool = False

    @classmethod
    def of(cls, weights: Foreign, path: str, pairs: int) -> Known:
        """With what the run says that the weights are of.

        Raises:
            SightwordError: the weights know no captions, so there is nothing to compare pictures with.
        """
        if not weights.has_text:
            raise SightwordError(
                f"'{path}' ({weights.family}) knows pictures alone; adapt wants weights with a text tower. To"
                f" teach it captions: sightword train --pretrained {path} --data PAIRS --objective clip"
            )
        if weights.family != OWN:
            return cls(weights, pairs)
        run = load(files_of(path)[0].parent)
        return cls(weights, pairs, run.optimizer.lr, bool(run.pretrained))


def suggest(
    config: Config, path: str, known: Known, given: Mapping[str, Any]
) -> tuple[Config, list[Setting]]:
    """The run's configuration, and its settings with their reasons.

    Args:
        config: with the data in it.
        path: of the weights.
        known: what is known of them and the data.
        given: settings that the user gave, by dotted names, `--set` included.

    Raises:
        SightwordError: a setting that was given is unknown or cannot be.
    """
    config = replace(from_weights(config, path, own_model=False), steps=0)
    asked = override(config, given, "the flag for")  # says so when something given cannot be
    chosen = list(_suggested(known, asked, given))
    unasked = {one.name: one.value for one in chosen if one.name not in given}
    if "steps" in given:
        unasked.pop("epochs")
    config = override(override(config, unasked, "the suggestion"), given, "the flag for")
    rows = [_asked(one, given) if _replaced(one, given) else one for one in chosen]
    named = {one.name for one in chosen}
    rows += [Setting(n, str(v), "as you asked", True) for n, v in given.items() if n not in named | {"steps"}]
    return config, rows


def _suggested(known: Known, asked: Config, given: Collection[str]) -> Iterator[Setting]:
    """Unasked; what is given counts where others follow from it."""
    batch = asked.batch_size if "batch_size" in given else batch_unasked(known.pairs)
    each = max(1, known.pairs // max(1, batch))
    epochs = min(MOST, max(FEWEST, math.ceil(STEPS / each)))
    steps = asked.steps or math.ceil((asked.epochs or epochs) * each)
    yield _objective(known.weights)
    yield from _adapters(known)
    unasked = any(one.value != "0" for one in _adapters(known))
    adapters = asked.lora.rank > 0 if "lora.rank" in given else unasked
    yield Setting("optimizer.lr", f"{LORA_LR:g}", _LORA_RATE) if adapters else _rate(known)
    yield Setting("batch_size", str(batch_unasked(known.pairs)), _BATCH)
    yield Setting("epochs", str(epochs), f"{epochs * each:,} steps; {_EPOCHS}")
    warm = min(WARM_SHARE, WARM_STEPS / max(1, steps))
    yield Setting("optimizer.warmup", f"{warm:.4g}", f"{round(warm * steps):,} steps: {_WARM}")
    yield Setting("optimizer.wd", "0.1", "FLYP's and WiSE-FT's")
    yield Setting("optimizer.lr_start", "0", "from nothing: the first steps must not spoil what is there")
    yield Setting("optimizer.lr_end", "0", "a cosine to nothing, as theirs")


def _objective(weights: Foreign) -> Setting:
    word = "siglip" if BIAS in weights.tensors else "clip"
    return Setting("objective", word, _LOSS)


def _adapters(known: Known) -> Iterator[Setting]:
    """Of the vision transformers of others alone, which CLIP-LoRA was tried on."""
    if known.pairs >= FEW or known.weights.family == OWN or known.weights.model.image.kind != "vit":
        return
    if find_spec("peft") is None:
        yield Setting("lora.rank", "0", _NO_LORA)
        return
    yield Setting("lora.rank", str(RANK), _LORA)
    yield Setting("lora.alpha", f"{ALPHA:g}", "CLIP-LoRA's")


def _rate(known: Known) -> Setting:
    if known.lr is None:
        return Setting("optimizer.lr", f"{LEAST_LR:g}", "FLYP's for CLIP's weights; WiSE-FT's is 3e-05")
    if known.adapted:
        return Setting("optimizer.lr", f"{known.lr:.3g}", "that with which the weights were adapted before")
    value = max(LEAST_LR, FIFTH * known.lr)
    return Setting(
        "optimizer.lr", f"{value:.3g}", f"a fifth of the {known.lr:g} that the weights were trained with;"
        " CLIP's, which have seen far more, are adapted with a fiftieth (FLYP)"
    )  # fmt: skip


def _replaced(one: Setting, given: Mapping[str, Any]) -> bool:
    return one.name in given or (one.name == "epochs" and "steps" in given)


def _asked(one: Setting, given: Mapping[str, Any]) -> Setting:
    name = one.name if one.name in given else "steps"
    return Setting(name, str(given[name]), f"as you asked; unasked {one.value}", True)


def looks(total: int) -> int:
    """Steps between two looks at the validation pairs."""
    return max(1, math.ceil(total / LOOKS))


def run_of(config: Config, out: Path, validation: Path, total: int) -> Config:
    """The run as it is carried out: the best step by retrieval among the validation pairs is kept.

    Args:
        config: with all settings.
        out: its directory.
        validation: the set.
        total: steps of the whole run.
    """
    best = f"{validation.name}/retrieval/image_retrieval_recall@5"
    return replace(
        config, out=str(out), watch_on=str(validation), zeroshot_frequency=looks(total), keep_best=best,
        evaluate_on="",
    )  # fmt: skip
