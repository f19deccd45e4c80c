"""A trained model for use: pictures and sentences in, features out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from torch import Tensor

from sightword.config import Config, load
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer, load_tokenizer
from sightword.towers.joint_space import JointSpace
from sightword.training.disk import read_tensors
from sightword.training.pretrainer import Encoders
from sightword.training.records import file_digest
from sightword.training.saving.checkpoint import about_encoders, fit
from sightword.training.setup import Equipment, build_encoders, choose_device
from sightword.views.evaluation import Preparation

_ROWS = 256  # encoded at a time
_WEIGHTS = Path("model.safetensors")


class Model:
    """The encoders of a run, in evaluation mode.

    `step`, `samples` and `flops` say how much training is in the weights; `weights_hash` names them.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        encoders: Encoders,
        tokenizer: Tokenizer,
        weights_hash: str,
        trained: tuple[int, int, float] = (0, 0, 0.0),
        device: str = "auto",
    ) -> None:
        self.name = name
        self.config = config
        self.tokenizer = tokenizer
        self.weights_hash = weights_hash
        self.step, self.samples, self.flops = trained
        image = config.model.image
        self.image_size = image.size
        self.preparation = Preparation(image.size, image.interpolation, image.resize)
        self.has_text = encoders.joint is not None
        self.device = choose_device(device)
        self.encoders = encoders.to(self.device)

    @torch.no_grad()
    def encode_image(self, images: UInt8[Tensor, "b 3 h w"], project: bool = False) -> Float[Tensor, "b d"]:
        """Features of pictures, float32 on the CPU.

        Args:
            images: uint8, already at `image_size`.
            project: True for the joint space, L2-normalised; False for the tower's own feature.
        """
        self.encoders.eval()
        rows = []
        for piece in images.split(_ROWS):
            pooled = self.encoders.towers["image"](piece.to(self.device)).pooled
            rows.append((self._joint().embed_image(pooled) if project else pooled).float().cpu())
        return torch.cat(rows)

    @torch.no_grad()
    def project_image(self, pooled: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        """The tower's own features in the joint space, as `encode_image` with `project` gives them."""
        self.encoders.eval()
        joint = self._joint()
        parts = [joint.embed_image(part.to(self.device)).float().cpu() for part in pooled.split(_ROWS)]
        return torch.cat(parts)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n e"]:
        """Features of sentences in the joint space, L2-normalised, float32 on the CPU."""
        self.encoders.eval()
        joint = self._joint()
        rows = [torch.zeros(0, self.config.model.embed)]
        for start in range(0, len(texts), _ROWS):
            words = self.tokenizer(list(texts[start : start + _ROWS]))
            pooled = self.encoders.towers["text"](words.to(self.device)).pooled
            rows.append(joint.embed_text(pooled).float().cpu())
        return torch.cat(rows)

    def _joint(self) -> JointSpace:
        if self.encoders.joint is None:
            raise SightwordError(
                f"run '{self.name}' was not trained to compare pictures and captions"
                f" ({self.config.objective}); use tasks that do not: linear, knn"
            )
        return self.encoders.joint


def place_of_scores(run: str | Path) -> Path:
    """Where scores of a run are kept: in its directory; those of its `model-best.safetensors` apart.

    They lie in `RUN/model-best`, so that neither is taken for the other.
    """
    given = Path(run)
    if given.suffix != _WEIGHTS.suffix:
        return given
    return given.parent if given.name == _WEIGHTS.name else given.with_suffix("")


def load_model(run: str | Path, device: str = "auto") -> Model:
    """The model of a run.

    Args:
        run: its directory, or one of the files of weights there, such as `RUN/model-best.safetensors`.
        device: where it computes; `auto` is CUDA where there is one, whatever it was trained on.

    Raises:
        SightwordError: when there is no run, no weights yet, or weights of another model.
    """
    given = Path(run)
    out, file = (given.parent, given) if given.suffix == _WEIGHTS.suffix else (given, given / _WEIGHTS)
    config = load(out)
    if not file.is_file():
        made = "" if file.name == _WEIGHTS.name else "; weights of other names are kept by --keep-best"
        raise SightwordError(
            f"'{out}' has no {file.name} yet; finish it with: sightword train --resume {out}{made}"
        )
    tensors = read_tensors(file)
    tokenizer = load_tokenizer(out / "tokenizer.json", config.model.text.context)
    encoders = build_encoders(config.model, tokenizer, config.seed, Equipment.saved(tensors))
    fit(encoders, tensors, str(file))
    with safe_open(file, "pt") as opened:
        about = about_encoders(opened.metadata() or {})
    trained = int(about.get("step", 0)), int(about.get("samples", 0)), float(about.get("flops", 0.0))
    name = out.resolve().name + file.stem.removeprefix(_WEIGHTS.stem)  # RUN-best for model-best.safetensors
    return Model(name, config, encoders, tokenizer, file_digest(file)[:16], trained, device)
