"""`adapted/`: the chosen mixture as a folder that `sightword.load` takes."""

from __future__ import annotations

from pathlib import Path

from sightword.adapting.beginning import WEIGHTS
from sightword.adapting.choice import Point
from sightword.adapting.curve import Ends
from sightword.adapting.mixing import hash_of
from sightword.config import to_toml
from sightword.training.disk import write_text, writing
from sightword.training.saving.checkpoint import write_encoders
from sightword.training.tensors import read_tensors


def publish(ends: Ends, chosen: Point, folder: Path, weights: str) -> None:
    """Write configuration, tokenizer and weights, these last; equal ones give equal bytes.

    Args:
        ends: what was mixed.
        chosen: the mixture.
        folder: to write.
        weights: what was adapted, as it was named; metadata of the file tell it, alpha and both ends' hashes.

    Raises:
        SightwordError: the disk is full.
    """
    step, samples, flops = ends.trained if chosen.alpha else (0, 0, 0.0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        ends.model.tokenizer.save(folder / "tokenizer.json")
    write_text(folder / "config.toml", to_toml(ends.model.config))
    about = {
        "step": step,
        "samples": samples,
        "flops": flops,
        "objective": ends.model.config.objective,
        "alpha": chosen.alpha,
        "adapted_from": weights,
        "start_hash": hash_of(read_tensors(ends.start)),
        "end_hash": hash_of(read_tensors(ends.end)),
    }
    write_encoders(folder / WEIGHTS, ends.tensors(chosen.alpha), about)
