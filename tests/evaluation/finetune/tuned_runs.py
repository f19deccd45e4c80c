"""Models that are ready to be fine-tuned: small towers with random weights, and a recipe of a few steps."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from colour_sets import write_folder
from tiny_runs import RESNET, VIT, tiny

from sightword.config import ImageTowerConfig
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.evaluation.labelled import Benchmark
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.model import Model
from sightword.training.setup import Equipment, build_encoders

CONV = replace(VIT, stem="conv", norm="group")
OPENAI = ImageTowerConfig(
    kind="modified-resnet", size=32, width=4, layers=(1, 1, 1, 1), heads=2, patch_size=32, pool="attention"
)
TOWERS = {
    "vit": replace(VIT, layers=(2,)),
    "vit-gap-sincos": replace(VIT, layers=(2,), pool="gap", positions="sincos", width=24),
    "vit-attention": replace(VIT, layers=(2,), pool="attention"),
    "vit-conv": replace(CONV, layers=(2,)),
    "resnet": replace(RESNET, layers=(1, 2)),
    "resnet-attention": replace(RESNET, pool="attention"),
    "modified-resnet": OPENAI,
}


@cache
def tokenizer() -> ClipTokenizer:
    """What a model must have and nothing here reads; made once, which takes a second."""
    return ClipTokenizer(context=16)


def model_of(image: ImageTowerConfig, seed: int = 0, drawn: int = 0) -> Model:
    """A model with weights of a seed other than its configuration's, unless `drawn` is 0."""
    config = tiny(Path("nowhere"), Path("nothing"), image=image, seed=seed)
    encoders = build_encoders(config.model, tokenizer(), seed + drawn, Equipment(text=False))
    return Model("small", config, encoders, tokenizer(), f"w{seed + drawn}", device="cpu")


def colours(folder: Path, each: int = 8) -> Benchmark:
    """Six colours to be told apart, `each` pictures of every one to learn from and to be asked about."""
    return open_benchmark(str(write_folder(folder / "colours", each)))


def quick(epochs: int = 4, lr: float = 1e-2, **changes: object) -> FineTuneRecipe:
    """Small batches and few epochs; everything else as BEiT's for the smallest tower."""
    recipe = replace(FineTuneRecipe.beit("S", epochs=epochs), batch=6, lr=lr, warmup=1.0)
    return replace(recipe, **changes)  # type: ignore[arg-type]
