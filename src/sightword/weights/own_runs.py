"""Weights of our own runs, as any other's: by their names already, described by config.toml beside them."""

from __future__ import annotations

from dataclasses import replace

from sightword.config import ModelConfig, load
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import load_run_tokenizer
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read

_IMAGE, _TEXT, _JOINT = "towers.image.", "towers.text.", "joint."
_MASK = "mask_token"  # comes with the objectives of a run, not with its towers


def recognises(file: Read) -> bool:
    """Whether the tensors bear our names."""
    return any(name.startswith(_IMAGE) for name in file.tensors)


def read(file: Read) -> Foreign:
    """The towers of a run, and its joint space where it compared pictures and captions.

    Raises:
        SightwordError: when config.toml or tokenizer.json of the run does not lie beside them.
    """
    if file.beside is None or not (file.beside / "config.toml").is_file():
        raise SightwordError(
            f"'{file.where}' holds weights of a sightword run, but no config.toml lies beside them;"
            " copy it and tokenizer.json from the run's directory"
        )
    config = load(file.beside)
    model = config.model
    paired = "joint.logit_scale" in file.tensors
    kept = (_IMAGE, _TEXT, _JOINT) if paired else (_IMAGE,)
    tensors = {n: t for n, t in file.tensors.items() if n.startswith(kept) and not n.endswith(f".{_MASK}")}
    left = sorted({name.rsplit(".", 1)[0] for name in file.tensors.keys() - tensors.keys()})
    tokenizer = load_run_tokenizer(file.beside, config) if paired else None
    notes = (f"not used of the run's weights: {', '.join(left[:3])}",) if left else ()
    return Foreign("sightword", file.where, _without_masks(model), tensors, tokenizer, notes)


def _without_masks(model: ModelConfig) -> ModelConfig:
    image, text = replace(model.image, mask_token=False), replace(model.text, mask_token=False)
    return replace(model, image=image, text=text)
