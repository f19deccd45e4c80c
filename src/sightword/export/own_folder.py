"""sightword's own folder: weights, configuration and tokenizer, without the rest of the run."""

from __future__ import annotations

from pathlib import Path

from sightword.config import to_toml
from sightword.export.reading_back import read_back
from sightword.export.target import Loaded, Target
from sightword.training.model import Model
from sightword.training.saving.checkpoint import save_encoders


class OwnFolder(Target):
    """`model.safetensors` by our names, `config.toml` and `tokenizer.json`: what `sightword.load` takes.

    Pictures go in as bytes; the mean and deviation of `config.toml` are applied inside.
    """

    name = "safetensors"
    library = "sightword"
    packages = ("safetensors",)
    borrowed = True

    def refuses(self, model: Model) -> str:
        return ""

    def write(self, model: Model, folder: Path) -> None:
        trained = {"step": model.step, "samples": model.samples, "flops": model.flops}
        save_encoders(folder, model.encoders, {**trained, "objective": model.config.objective})
        (folder / "config.toml").write_text(to_toml(model.config), encoding="utf-8")
        model.tokenizer.save(folder / "tokenizer.json")

    def loaded(self, model: Model, folder: Path) -> Loaded:
        return read_back(folder)

    def reread(self, model: Model, folder: Path) -> Loaded:
        return read_back(folder)

    def use(self, place: Path) -> str:
        return (
            "import sightword\n\n"
            f'model = sightword.load("{place.name}")\n'
            'model.encode_image(["one.jpg", "two.png"])'
        )
