"""Linear segmentation: what a linear layer reads out of frozen patch tokens, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.features import Encoder, FeatureStore, Pixels, batches
from sightword.evaluation.heldout import SHARE
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.linear import ROUGH, STRENGTHS, UNSWEPT
from sightword.evaluation.logistic import Fitted, Logistic
from sightword.evaluation.masks import Mask, MaskedSet
from sightword.evaluation.overlap import Overlap, counted, mean_iou, measured
from sightword.evaluation.probe import chosen_on
from sightword.evaluation.progress import watched
from sightword.evaluation.task import Answer, Task
from sightword.randomness import stream, uniform
from sightword.towers.base import ImageTower
from sightword.training.model import Model
from sightword.views.evaluation import squashed

AMONG = STRENGTHS[::2]
ROWS = 64  # pictures encoded at a time
Unreadable = tuple[str, str]  # a picture's key, and what is wrong with it or with its mask
Seen = tuple[Tensor, Mask]  # tokens, shape (d, gh, gw), and the mask


@dataclass(frozen=True)
class Drawn:
    """How many pixels are learned from: of each picture at most `each`, of all about `total`."""

    each: int = 256
    total: int = 200_000

    def __post_init__(self) -> None:
        if self.each < 1 or self.total < 1:
            raise SightwordError(
                f"cannot learn from {self.each} pixels of a picture and {self.total} in all; wanted 1 or more"
            )

    def of(self, pictures: int) -> int:
        """Pixels of one picture."""
        return max(1, min(self.each, self.total // max(1, pictures)))


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pixels that were drawn: their features, classes, and which picture of the set each is of.

    bad: (key, reason) of pictures that cannot be read, or whose mask cannot.
    """

    features: Float32[np.ndarray, "n d"]
    labels: Int64[np.ndarray, " n"]
    pictures: Int64[np.ndarray, " n"]
    bad: tuple[Unreadable, ...]


@final
class Segmentation(Task):
    """A linear layer over patch tokens of whole pictures, its logits enlarged bilinearly to the mask's size.

    Enlarging and the layer commute, so it is learned, as multinomial logistic regression, from tokens
    interpolated at pixels that are drawn once; their class is the pixel's. A ResNet's tokens are its last
    feature map. Deviations from the linear segmentation of DINOv2 (2304.07193): pictures are squeezed to the
    model's square instead of being covered by windows, and the optimum is found, not a number of steps made.
    """

    name = "segmentation"

    def __init__(self, drawn: Drawn | None = None) -> None:
        self.settings = drawn or Drawn()

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        if not isinstance(test, MaskedSet):
            return "the set has no masks"
        if not isinstance(train, MaskedSet):
            return "there are no masks to learn from"
        return "" if isinstance(model, Model) else "the model gives no patch tokens"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        assert isinstance(model, Model)
        assert isinstance(test, MaskedSet)
        assert train is not None
        by = model.preparation.interpolation
        return {
            "transform": {"squeezed_to": model.image_size, "interpolation": f"{by}, antialiased"},
            "features": "tokens",
            "grid": list(tower_of(model).facts.grid),
            "classes": list(test.regions),
            "upsampling": "bilinear, to the mask",
            **{f"pixels_{name}": value for name, value in asdict(self.settings).items()},
            "loss": "multinomial logistic",
            "standardised": True,
            "c_among": list(AMONG),
            "chosen_by": "mIoU over the drawn pixels",
            "train_data_hash": train.data_hash,
            **chosen_on(train),
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        model = features.model
        assert isinstance(model, Model)
        assert isinstance(test, MaskedSet)
        assert isinstance(train, MaskedSet)
        name = (
            f"{self.name} {self.settings} {train.data_hash} {train.validation and train.validation.data_hash}"
        )
        fitted, chosen = features.once(name, lambda: self._learned(features, model, train))
        rows, parts, bad = list[int](), list[Int64[np.ndarray, "3 c"]](), list[Unreadable]()
        for row, seen in read(model, test):
            if isinstance(seen, BadSample):
                bad.append((seen.key, seen.reason))
                continue
            tokens, mask = seen
            rows.append(row)
            parts.append(counted(predicted(fitted, tokens, mask.shape), mask, len(test.regions)))
        features.tell_bad(test, bad)
        if not rows:
            raise SightwordError(f"no picture of {test.name}/{test.split} can be read with its mask")
        overlap = Overlap(*np.stack(parts, axis=1))
        keys = test.keys_of(np.array(rows))
        return Answer(measured(overlap), _table(keys, overlap), test.regions, chosen)

    def _learned(
        self, features: FeatureStore, model: Model, train: MaskedSet
    ) -> tuple[Fitted, dict[str, Any]]:
        """Choose on the validation part, or on a fifth of the pictures, then learn from all."""
        parts = [part for part in (train, train.validation) if isinstance(part, MaskedSet)]
        known = [draw(model, part, self.settings) for part in parts]
        for part, one in zip(parts, known, strict=True):
            features.tell_bad(part, one.bad)
        if len(known) > 1:
            held = np.repeat([False, True], [len(one.labels) for one in known])
        else:
            held = held_out(known[0].pictures)
        pixels = np.concatenate([one.features for one in known])
        labels = np.concatenate([one.labels for one in known])
        chosen = _chosen(pixels, labels, held, len(train.regions))
        counts = {"pixels": len(labels), "unreadable_to_learn_from": sum(len(one.bad) for one in known)}
        return Logistic(pixels, labels).fit(chosen["c"]), {**chosen, **counts}


def tower_of(model: Model) -> ImageTower:
    """The tower that sees pictures, in evaluation mode."""
    tower = model.encoders.eval().towers["image"]
    assert isinstance(tower, ImageTower)
    return tower


def tokens_of(model: Model, pictures: list[Pixels]) -> Float32[Tensor, "b d gh gw"]:
    """The tower's tokens of whole pictures, laid out as they lie in the picture, float32 on the CPU."""
    squares = squashed(pictures, model.image_size, model.preparation.interpolation)
    tower = tower_of(model)
    with torch.no_grad():
        tokens = tower(squares.to(model.device)).tokens.float().cpu()
    return tokens.transpose(1, 2).unflatten(2, tower.facts.grid)


def read(model: Model, masked: MaskedSet) -> Iterator[tuple[int, Seen | BadSample]]:
    """Of every picture its position, and its tokens and mask or what is wrong with either."""
    for start, pictures in batches(masked, f"patch tokens of {masked.name}/{masked.split}"):
        for first in range(0, len(pictures), ROWS):
            some = pictures[first : first + ROWS]
            good = [one for one in some if not isinstance(one, BadSample)]
            tokens = iter(tokens_of(model, good).unbind() if good else ())
            for i, picture in enumerate(some, start + first):
                yield i, picture if isinstance(picture, BadSample) else _seen(next(tokens), masked, i)


def _seen(tokens: Tensor, masked: MaskedSet, i: int) -> Seen | BadSample:
    try:
        return tokens, masked.mask(i)
    except BadSample as problem:
        return problem


def draw(model: Model, masked: MaskedSet, drawn: Drawn) -> Drawing:
    """Pixels of every picture that count, at random places that hang on the picture's position alone.

    Raises:
        SightwordError: when no picture can be read with its mask.
    """
    count, bad = drawn.of(len(masked)), list[Unreadable]()
    features, labels, pictures = (
        list[Tensor](),
        list[Int64[np.ndarray, " p"]](),
        list[Int64[np.ndarray, " p"]](),
    )
    for row, seen in read(model, masked):
        if isinstance(seen, BadSample):
            bad.append((seen.key, seen.reason))
            continue
        tokens, mask = seen
        places = np.flatnonzero(mask.ravel() >= 0)
        chance = uniform(0, stream("segmentation pixels"), np.array([row]), 0, count)[0]
        taken = places[(chance * len(places)).astype(np.int64)] if len(places) else places
        features.append(at_pixels(tokens, taken, mask.shape))
        labels.append(mask.ravel()[taken])
        pictures.append(np.full(len(taken), row))
    if not features or not sum(map(len, labels)):
        raise SightwordError(f"no picture of {masked.name}/{masked.split} can be read with its mask")
    learned = torch.cat(features).numpy(), np.concatenate(labels), np.concatenate(pictures)
    return Drawing(*learned, tuple(bad))


def at_pixels(
    tokens: Float32[Tensor, "d gh gw"], pixels: Int64[np.ndarray, " p"], shape: tuple[int, ...]
) -> Float32[Tensor, "p d"]:
    """Tokens interpolated at some pixels of a mask, as enlarging them to its shape would."""
    down, across = (torch.from_numpy(where) for where in np.divmod(pixels, shape[1]))
    spots = torch.stack([(across + 0.5) / shape[1], (down + 0.5) / shape[0]], dim=1).float() * 2 - 1
    found = F.grid_sample(tokens[None], spots[None, None], padding_mode="border", align_corners=False)
    return found[0, :, 0].T.contiguous()


def predicted(fitted: Fitted, tokens: Float32[Tensor, "d gh gw"], shape: tuple[int, ...]) -> Mask:
    """The likeliest class of each pixel of a mask of this shape."""
    logits = torch.einsum("dhw,dc->chw", tokens, fitted.weight.float()) + fitted.bias.float()[:, None, None]
    large = F.interpolate(logits[None], size=list(shape), mode="bilinear", align_corners=False)
    return fitted.present[large[0].argmax(dim=0).numpy()]


def held_out(pictures: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """True for the pixels of a fifth of the pictures, whole."""
    distinct = np.unique(pictures)
    order = np.argsort(uniform(0, stream("held out pictures"), distinct, 0, 1)[:, 0], kind="stable")
    return np.isin(pictures, distinct[order[: int(SHARE * len(distinct))]])


def _chosen(
    features: Float32[np.ndarray, "n d"],
    labels: Int64[np.ndarray, " n"],
    held: Bool[np.ndarray, " n"],
    classes: int,
) -> dict[str, Any]:
    """The strongest penalty among those that do best on what is held out."""
    if not held.any() or held.all():
        return {"c": UNSWEPT, "held_out_miou": None}
    model, found = Logistic(features[~held], labels[~held]), dict[float, float]()
    for strength in watched(AMONG, len(AMONG), "linear segmentation"):
        said = model.fit(strength, ROUGH).scores(features[held], classes).argmax(dim=1).numpy()
        both, of, true = counted(said[None], labels[held][None], classes).astype(np.float64)
        found[strength] = float(mean_iou(both, of + true - both))
    best = max(found, key=lambda c: (found[c], -c))
    return {"c": best, "held_out_miou": found[best]}


def _table(keys: list[str], overlap: Overlap) -> pa.Table:
    """One row for each picture: its own mean IoU and its pixels of each class."""
    columns: Mapping[str, Any] = {
        "picture_miou": mean_iou(overlap.both.astype(np.float64), overlap.union.astype(np.float64)),
        **{
            name: pa.array(list(counts), pa.list_(pa.int64()))
            for name, counts in (
                ("intersection", overlap.both),
                ("union", overlap.union),
                ("true", overlap.true),
            )
        },
    }
    return pa.table(
        {"key": pa.array(keys, pa.string()), "cluster": pa.nulls(len(keys), pa.string()), **columns}
    )
