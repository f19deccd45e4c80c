"""The model before adapting, as a folder like a run's: what `start/` holds, and what the run begins with."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from sightword.config import Config, to_toml
from sightword.pairs.base import Pairs
from sightword.training.disk import write_text, writing
from sightword.training.pretrained import Begun, begun, weights_of
from sightword.training.saving.checkpoint import about_encoders, save_encoders
from sightword.training.setup import build_pretrainer, make_tokenizer

WEIGHTS = "model.safetensors"


def begin(config: Config, pairs: Pairs, folder: Path) -> Begun | None:
    """Write what a run of this configuration has before its first step; None when it is there already.

    Args:
        config: of the run, with `pretrained`.
        pairs: that a tokenizer would be learned from, where the weights bring none.
        folder: to write.

    Raises:
        SightwordError: the weights cannot be read or are of another model, or the disk is full.
    """
    if (folder / WEIGHTS).is_file():
        return None
    weights = weights_of(config)
    assert weights is not None, "the settings were chosen for weights"
    tokenizer = make_tokenizer(config, pairs, weights)
    model = build_pretrainer(config, tokenizer, weights=weights)
    origin = begun(model, weights)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(folder / "tokenizer.json")
    write_text(folder / "config.toml", to_toml(config))
    about = {"step": 0, "samples": 0, "flops": 0.0, "objective": config.objective, "from": origin.weights}
    save_encoders(folder, model.kept_encoders(), about)
    return origin


def trained(file: Path) -> tuple[int, int, float]:
    """Steps, samples and FLOPs behind weights, as their file says."""
    with safe_open(file, "pt") as opened:
        about = about_encoders(opened.metadata() or {})
    return int(about["step"]), int(about["samples"]), float(about["flops"])
