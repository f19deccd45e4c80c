"""What all of SLIP's runs share (Mu et al. 2021, arXiv 2112.12750, appendix A; released README and main.py).

Global batch 4096, AdamW (0.9, 0.98), eps 1e-8, cosine 1e-6 -> lr -> 1e-5, warm-up of one epoch (two of 100
epochs), one learning rate and weight decay for all sizes and corpora. `Config.batch_size` is that of all
processes: 64 processes take --batch-size 64.

Captions as the released datasets.py chooses them: on YFCC15M the title or the description, each as likely and
possibly empty; on CC3M and CC12M any of a picture's captions. `--data yfcc15m:FOLDER` (cc3m:, cc12m:) reads
the corpus as the released README lays it out; shards need the json fields `title` and `description`.

Deviations: bf16 where the released code has fp16; the contrast sends gradients to other ranks' features,
which the released code does not (`clip(gather_with_grad=false)` does as it did).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sightword.config import CaptionPolicy, Config, DataConfig, OptimizerConfig
from sightword.recipes import models
from sightword.recipes.catalogue import Recipe


@dataclass(frozen=True)
class Arm:
    """What is learned, with the learning rate and the weight decay that the paper gave it."""

    objective: str
    lr: float
    wd: float


CLIP = Arm("clip", 5e-4, 0.5)
SIMCLR = Arm("simclr", 3.2e-3, 0.1)
SLIP = Arm("clip + 1.0 * simclr", 3e-3, 0.1)

_SHARDS = {"yfcc15m": "{00000..01468}", "cc3m": "{00000..00331}", "cc12m": "{00000..01242}"}
_CAPTIONS: dict[str, CaptionPolicy] = {
    "yfcc15m": "title-or-description",
    "cc3m": "uniform",
    "cc12m": "uniform",
}
_README = "README of the released code"


def run(arm: Arm, model: str, corpus: str = "yfcc15m", epochs: int = 25) -> Config:
    """One of the paper's runs; `corpus` stands for the path that --data gives."""
    warmup = 2 if epochs == 100 else 1
    return Config(
        objective=arm.objective,
        model=models.find(model),
        data=DataConfig(path=corpus, captions=_CAPTIONS[corpus], tokenizer="clip"),
        optimizer=OptimizerConfig(lr=arm.lr, wd=arm.wd, warmup=warmup / epochs),
        batch_size=4096,
        epochs=float(epochs),
        precision="bf16",
    )


def told(
    result: str = "",
    source: str = _README,
    hardware: str = "64 V100 for most of its runs, hours unknown",
    unknown: str = "nothing that is set here",
    flags: str = "",
) -> Callable[[Recipe], Recipe]:
    """Completes the docstring of a recipe: its command, hardware, published result, and what is unknown.

    Args:
        result: ImageNet top-1 "zero-shot / linear / fine-tuned" in per cent, "-" for what was not published;
            nothing when no figure is known.
        source: where it is published, or why there is none.
        hardware: what the paper trained it on.
        unknown: what neither the paper nor its code says.
        flags: what the command needs beside --data.
    """

    def complete(recipe: Recipe) -> Recipe:
        name = recipe.__name__.replace("_", "-")
        figures = (
            f"ImageNet top-1, zero-shot / linear / fine-tuned, {result} ({source})" if result else source
        )
        corpus = next(corpus for corpus in _SHARDS if corpus in name)
        recipe.__doc__ = "\n".join(
            [
                f"{recipe.__doc__}: {result or 'no published figure'}.",
                "",
                f"    torchrun --nnodes 8 --nproc-per-node 8 -m sightword train {name} \\",
                f"      --data '{corpus}/{_SHARDS[corpus]}.tar' --batch-size 64 {flags}--out runs/{name}",
                "",
                f"Hardware of the paper: {hardware}.",
                f"Published: {figures}.",
                f"Unknown: {unknown}.",
            ]
        )
        return recipe

    return complete
