"""A trained model for use: pictures and sentences in, features out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from torch import Tensor

from sightword.config import Config, DataConfig, load
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import ClipTokenizer, Tokenizer, load_run_tokenizer
from sightword.towers.joint_space import JointSpace
from sightword.training.pretrainer import Encoders
from sightword.training.records import digest, file_digest
from sightword.training.saving.checkpoint import about_encoders, fit
from sightword.training.setup import Equipment, build_encoders, choose_device
from sightword.training.tensors import read_tensors
from sightword.views.evaluation import Preparation
from sightword.weights.folders import is_usual
from sightword.weights.sources import files_of, open_weights

_ROWS = 256  # encoded at a time
_WEIGHTS = Path("model.safetensors")


class Model:
    """The encoders of a run, in evaluation mode.

    `step`, `samples` and `flops` say how much training is in the weights; `weights_hash` names them.

    `autocast` is the precision in which it encodes; None: that of the weights.

    Of weights from elsewhere, `family` says whose they are, and `notes` what was taken for granted; what they
    were trained on, and for how long, nobody here knows.
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
        family: str = "",
        notes: tuple[str, ...] = (),
        autocast: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.name = name
        self.autocast = nullcontext() if autocast is None else autocast
        self.family, self.notes = family, notes
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
            with self.autocast:
                pooled = self.encoders.towers["image"](piece.to(self.device)).pooled
                rows.append((self._joint().embed_image(pooled) if project else pooled).float().cpu())
        return torch.cat(rows)

    @torch.no_grad()
    def project_image(self, pooled: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        """The tower's own features in the joint space, as `encode_image` with `project` gives them."""
        self.encoders.eval()
        joint = self._joint()
        with self.autocast:
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
            with self.autocast:
                pooled = self.encoders.towers["text"](words.to(self.device)).pooled
                rows.append(joint.embed_text(pooled).float().cpu())
        return torch.cat(rows)

    def _joint(self) -> JointSpace:
        if self.encoders.joint is None and self.family:
            raise SightwordError(
                f"'{self.name}' ({self.family}) encodes pictures alone; use tasks that want no captions:"
                " linear, knn"
            )
        if self.encoders.joint is None:
            raise SightwordError(
                f"run '{self.name}' was not trained to compare pictures and captions"
                f" ({self.config.objective}); use tasks that do not: linear, knn"
            )
        return self.encoders.joint


def is_run(path: str | Path) -> bool:
    """Whether it is a run's directory or a file of weights there; what is not there is taken for a run."""
    given = Path(path)
    folder = given.parent if given.suffix == _WEIGHTS.suffix else given
    return (folder / "config.toml").is_file() or not given.exists()


def place_of_scores(run: str | Path) -> Path:
    """Where scores are kept: of a run in its directory; of its `model-best.safetensors` in `RUN/model-best`.

    So neither is taken for the other. Of weights from elsewhere they lie in `runs/NAME`, below where the
    command is called: a folder that was fetched is not written to.

    Raises:
        SightwordError: when that directory is of a run.
    """
    given = Path(run)
    if not is_run(run):
        return _elsewhere(given)
    if given.suffix != _WEIGHTS.suffix:
        return given
    return given.parent if given.name == _WEIGHTS.name else given.with_suffix("")


def load_model(run: str | Path, device: str = "auto") -> Model:
    """The model of a run, or of weights from elsewhere.

    Args:
        run: a run's directory, or one of the files of weights there, such as `RUN/model-best.safetensors`; or
            a file or folder of another library (docs/interop.md).
        device: where it computes; `auto` is CUDA where there is one, whatever it was trained on.

    Raises:
        SightwordError: when there is no run, no weights yet, or weights of another model.
    """
    if not is_run(run):
        return _load_foreign(Path(run), device)
    given = Path(run)
    out, file = (given.parent, given) if given.suffix == _WEIGHTS.suffix else (given, given / _WEIGHTS)
    config = load(out)
    if not file.is_file():
        made = "" if file.name == _WEIGHTS.name else "; weights of other names are kept by --keep-best"
        raise SightwordError(
            f"'{out}' has no {file.name} yet; finish it with: sightword train --resume {out}{made}"
        )
    tensors = read_tensors(file)
    tokenizer = load_run_tokenizer(out, config)
    encoders = build_encoders(config.model, tokenizer, config.seed, Equipment.saved(tensors))
    fit(encoders, tensors, str(file))
    with safe_open(file, "pt") as opened:
        about = about_encoders(opened.metadata() or {})
    trained = int(about.get("step", 0)), int(about.get("samples", 0)), float(about.get("flops", 0.0))
    name = out.resolve().name + file.stem.removeprefix(_WEIGHTS.stem)  # RUN-best for model-best.safetensors
    return Model(name, config, encoders, tokenizer, file_digest(file)[:16], trained, device)


def _load_foreign(path: Path, device: str) -> Model:
    weights, files = open_weights(path), files_of(path)
    config = Config(objective="", model=weights.model, data=DataConfig(path=""))
    tokenizer = weights.tokenizer or ClipTokenizer(context=weights.model.text.context)
    encoders = build_encoders(weights.model, tokenizer, config.seed, Equipment.saved(weights.tensors))
    fit(encoders, weights.tensors, str(path))
    hashes = [file_digest(file) for file in files]
    named = hashes[0][:16] if len(hashes) == 1 else digest("".join(hashes))
    name, notes = _name_of(path), weights.notes
    return Model(name, config, encoders, tokenizer, named, device=device, family=weights.family, notes=notes)


def _name_of(path: Path) -> str:
    """Of weights: the folder's name where the file has one that all such files have."""
    whole = path.expanduser().resolve()
    return whole.name if path.is_dir() else whole.parent.name if is_usual(whole) else whole.stem


def _elsewhere(path: Path) -> Path:
    place = Path("runs") / _name_of(path)
    if (place / "config.toml").exists():
        raise SightwordError(
            f"'{place}' holds a run, so scores of '{path}' cannot lie there; give another place by --out"
        )
    return place
