"""Floor 7. sightword's own folder: weights, configuration and tokenizer, without the rest of the run."""

from __future__ import annotations

from pathlib import Path

import sightword
from sightword.config import to_toml
from sightword.export.target import Loaded, Target
from sightword.training.model import Model, load_model
from sightword.training.saving.checkpoint import save_encoders


class OwnFolder(Target):
    """`model.safetensors` by our names, `config.toml` and `tokenizer.json`: what `sightword.load` takes.

    Pictures go in as bytes; the mean and deviation of `config.toml` are applied inside.
    """

    name = "safetensors"
    library = "sightword"
    packages = ("safetensors",)

    def refuses(self, model: Model) -> str:
        return ""

    def write(self, model: Model, folder: Path) -> None:
        trained = {"step": model.step, "samples": model.samples, "flops": model.flops}
        save_encoders(folder, model.encoders, {**trained, "objective": model.config.objective})
        (folder / "config.toml").write_text(to_toml(model.config), encoding="utf-8")
        model.tokenizer.save(folder / "tokenizer.json")

    def loaded(self, model: Model, folder: Path) -> Loaded:
        again = load_model(folder, "cpu")
        by = f"sightword {sightword.__version__}"
        if model.has_text:
            return Loaded(by, lambda images: again.encode_image(images, project=True), again.encode_text)
        return Loaded(by, again.encode_image, pooled=True)

    def reread(self, model: Model, folder: Path) -> Loaded:
        return self.loaded(model, folder)

    def use(self, place: Path) -> str:
        return (
            "import sightword\n\n"
            f'model = sightword.load("{place.name}")\n'
            "pictures = model.preparation([rgb_array])  # bytes, rows x columns x 3\n"
            "model.encode_image(pictures)"
        )
