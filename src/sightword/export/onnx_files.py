"""ONNX: the two encoders as graphs, for ONNX Runtime from Python, C#, C++, Java or JavaScript."""

from __future__ import annotations

import copy
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.export import beside
from sightword.export.target import Loaded, Target, UnloadableError, library, version_of
from sightword.towers.base import ImageTower, TextTower
from sightword.towers.joint_space import JointSpace
from sightword.training.model import Model
from sightword.training.pretrainer import Encoders
from sightword.words import Words

IMAGE, TEXT = "image_encoder.onnx", "text_encoder.onnx"
_SAID = 300  # letters of what torch complains of
_PIECES = (1, 2, 3)  # batch sizes that are tried; the rest of the sample is one more
_Run = Callable[[dict[str, np.ndarray]], Sequence[np.ndarray]]


class ImageGraph(nn.Module):
    """Normalised pixels to features; the tower's own normalisation is left out of it."""

    def __init__(self, encoders: Encoders) -> None:
        super().__init__()
        tower = copy.deepcopy(encoders.towers["image"])
        assert isinstance(tower, ImageTower)
        tower.mean.zero_()
        tower.std.fill_(1 / 255)  # of the mean and this, `normalise` changes nothing
        self.tower, self.joint = tower, encoders.joint

    def forward(self, pixel_values: Float[Tensor, "b 3 s s"]) -> tuple[Tensor, ...]:
        """Features in the joint space, where there is one, then the tower's own."""
        pooled = self.tower(pixel_values).pooled
        return (pooled,) if self.joint is None else (self.joint.embed_image(pooled), pooled)


class TextGraph(nn.Module):
    """Token ids to features; captions end at the first end-of-text."""

    def __init__(self, encoders: Encoders) -> None:
        super().__init__()
        tower, joint = encoders.towers["text"], encoders.joint
        assert isinstance(tower, TextTower)
        assert isinstance(joint, JointSpace)
        self.tower, self.joint, self.eot = tower, joint, tower.facts.eot

    def forward(self, input_ids: Int64[Tensor, "b length"]) -> Float[Tensor, "b e"]:
        """Features in the joint space."""
        lengths = (input_ids == self.eot).to(torch.int64).argmax(dim=1) + 1
        return self.joint.embed_text(self.tower(Words(input_ids, lengths)).pooled)


class Onnx(Target):
    """`image_encoder.onnx`, `text_encoder.onnx` and what a program needs to prepare their inputs."""

    name = "onnx"
    library = "onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def refuses(self, model: Model) -> str:
        return ""

    def write(self, model: Model, folder: Path) -> None:
        _demand_onnx()
        size, encoders = model.image_size, model.encoders.eval()
        outputs = ["image_embeds", "pooled"] if model.has_text else ["pooled"]
        pictures = torch.zeros(2, 3, size, size)
        _write(ImageGraph(encoders).eval(), pictures, "pixel_values", outputs, folder / IMAGE)
        beside.write_preprocessing(model, folder)
        if model.has_text:
            words = model.tokenizer(["a", "b c"]).ids
            _write(TextGraph(encoders).eval(), words, "input_ids", ["text_embeds"], folder / TEXT)
            beside.write_tokenizer(model.tokenizer, folder)
            beside.write_templates(folder)

    def loaded(self, model: Model, folder: Path) -> Loaded:
        ort = library("onnxruntime")

        def session(file: Path) -> _Run:
            options = ort.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            made = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            return lambda inputs: made.run(None, inputs)

        return _loaded(model, folder, f"ONNX Runtime {version_of('onnxruntime')}", session)

    def reread(self, model: Model, folder: Path) -> Loaded:
        reference = importlib.import_module("onnx.reference")

        def session(file: Path) -> _Run:
            made = reference.ReferenceEvaluator(str(file))
            return lambda inputs: made.run(None, inputs)

        return _loaded(model, folder, f"onnx's reference evaluator {version_of('onnx')}", session)

    def use(self, place: Path) -> str:
        return (
            "import onnxruntime\n\n"
            f'session = onnxruntime.InferenceSession("{place.name}/{IMAGE}")\n'
            'features = session.run(None, {"pixel_values": pixels})[0]'
        )

    def describe(self, model: Model) -> str:
        size, image = model.image_size, model.config.model.image
        tower, embed = model.encoders.towers["image"], model.config.model.embed
        assert isinstance(tower, ImageTower)
        rows = [
            "| file | input | output |",
            "|---|---|---|",
            f"| {IMAGE} | `pixel_values`, float32, (batch, 3, {size}, {size}) |"
            + (f" `image_embeds`, float32, (batch, {embed}), of length 1;" if model.has_text else "")
            + f" `pooled`, float32, (batch, {tower.facts.width}), the tower's own feature |",
        ]
        if model.has_text:
            context = model.tokenizer.context
            rows.append(
                f"| {TEXT} | `input_ids`, int64, (batch, {context}) |"
                f" `text_embeds`, float32, (batch, {embed}), of length 1 |"
            )
        mean, std = (", ".join(f"{x:.8g}" for x in values) for values in (image.mean, image.std))
        rows += [
            "",
            f"`pixel_values`: {beside.facts(model.preparation)}; bytes divided by 255, less the mean"
            f" [{mean}], divided by [{std}]. `{beside.PREPROCESSING}` says the same.",
        ]
        if model.has_text:
            assert model.encoders.joint is not None
            scale = model.encoders.joint.scale().item()
            rows += [
                f"`input_ids`: what `{beside.TOKENIZER}` gives (the tokenizers library, transformers.js and"
                " others read it): start, words, end, padding up to the context. The end is found inside.",
                f"A picture's and a sentence's cosine, the product of both features, times {scale:.6g} is the"
                " logit of training.",
            ]
        return "\n".join(rows)


def _demand_onnx() -> None:
    for package in ("onnx", "onnxscript"):
        try:
            library(package)
        except UnloadableError as error:
            raise SightwordError(f"{error}; install it: pip install 'sightword[onnx]'") from error


def _write(graph: nn.Module, example: Tensor, name: str, outputs: list[str], file: Path) -> None:
    batch = torch.export.Dim("batch")
    try:
        with warnings.catch_warnings(), _quiet("torch.onnx"), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's exporter warns of itself
            program: Any = torch.onnx.export(
                graph, (example,), dynamo=True, input_names=[name], output_names=outputs,
                dynamic_shapes={name: {0: batch}}, verbose=False,
            )  # fmt: skip
    except Exception as error:  # the exporter raises anything at what it has no operator for
        why = " ".join(str(error.__cause__ or error).split())[:_SAID]
        raise SightwordError(f"torch cannot write this tower as ONNX ({why}); nothing was written") from error
    program.save(str(file))


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """What a logger warns of meanwhile is not shown, such as operators of torchvision that nobody has."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _loaded(model: Model, folder: Path, by: str, session: Callable[[Path], _Run]) -> Loaded:
    image, text = session(folder / IMAGE), session(folder / TEXT) if model.has_text else None
    look = beside.preprocessing(model)
    mean, std = (
        np.array(look[name], dtype=np.float32)[:, None, None] for name in ("image_mean", "image_std")
    )

    def encode_image(pictures: Tensor) -> Tensor:
        pixels = (pictures.numpy().astype(np.float32) * np.float32(look["rescale_factor"]) - mean) / std
        return _in_pieces(image, "pixel_values", pixels)

    if text is None:
        return Loaded(by, encode_image, pooled=True)
    words = tokenizers.Tokenizer.from_file(str(folder / beside.TOKENIZER))

    def encode_text(sentences: Sequence[str]) -> Tensor:
        ids = np.array([one.ids for one in words.encode_batch(list(sentences))], dtype=np.int64)
        return _in_pieces(text, "input_ids", ids)

    return Loaded(by, encode_image, encode_text)


def _in_pieces(run: _Run, name: str, rows: np.ndarray) -> Tensor:
    """The first output, rows cut into batches of several sizes."""
    pieces = [part for part in np.split(rows, np.cumsum(_PIECES)) if len(part)]
    return torch.from_numpy(np.concatenate([run({name: part})[0] for part in pieces]))
