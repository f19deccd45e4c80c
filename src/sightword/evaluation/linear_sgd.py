"""The linear probe by SLIP's recipe: SGD on features of augmented pictures (2112.12750, main_linear.py)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import ceil, cos, pi
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.features import Encoder, FeatureStore, Pixels, picture_of, transform
from sightword.evaluation.keeping import Keeper, Standing, keeper_of
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.probe import classified, why_not
from sightword.evaluation.progress import watched
from sightword.evaluation.task import Answer, Task
from sightword.randomness import stream, uniform
from sightword.views.pipeline import make_views
from sightword.words import View

SEED = 0
Ids = Int64[np.ndarray, " b"]
KEPT = 2**30  # bytes of decoded pictures that stay in memory; others are decoded in each epoch


@dataclass(frozen=True)
class Recipe:
    """SLIP's: momentum SGD without decay, a cosine from `lr * batch / 256` to 0 by epochs, 90 of them.

    Its code divides its batch of 128 a GPU by the number of GPUs once more before it scales the rate, so that
    eight of them learn from 1,024 pictures a step at a rate of 0.00625. Deviation: here the rate follows the
    batch alone, as in the paper that the recipe is taken from (MoCo v3, 2104.02057), and the batch is 256.
    """

    epochs: int = 90
    batch: int = 256
    lr: float = 0.1
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.lr <= 0 or not 0 <= self.momentum < 1:
            raise SightwordError(
                f"cannot learn for {self.epochs} epochs in batches of {self.batch} at a learning rate of"
                f" {self.lr:g} with momentum {self.momentum:g}; wanted numbers above 0, momentum below 1"
            )

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, from 0."""
        return self.lr * self.batch / 256 * 0.5 * (1 + cos(pi * epoch / self.epochs))


@final
class LinearSGD(Task):
    """A linear layer on the frozen tower, learned from random crops and flips, tested on the middle.

    Pictures to learn from are cropped (RandomResizedCrop of 8 to 100 % of the area) and flipped anew in each
    epoch, those of the test are resized to 256/224 of the model's size and cropped to it. All that may be
    learned from is: the training part and, where there is one, the validation part, since nothing is chosen.
    Deviation: SLIP's code keeps the best of every tenth epoch on the test part; here the last counts.
    """

    name = "linear-sgd"

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.settings = recipe or Recipe()

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        return why_not(test, train)

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        assert train is not None
        assert test.probed is not None
        view = asdict(training_view(model.image_size))
        facts = {
            "transform": transform(model, resized(model.image_size)),
            "features": "pooled",
            "target": "groups" if test.groups is not None else "classes",
            "labels": len(test.probed.names),
            "train_data_hash": train.data_hash,
            **asdict(self.settings),
            "solver": "sgd, cosine by epochs, no weight decay",
            "view": {name: view[name] for name in ("size", "scale", "ratio", "flip")},
            "seed": SEED,
            "chosen_on": "nothing is chosen; the last epoch counts",
        }
        return facts | ({"validation_data_hash": train.validation.data_hash} if train.validation else {})

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        assert train is not None
        asked = features.of(test, "pooled", resized(features.model.image_size))
        pooled = torch.from_numpy(asked.values["pooled"])
        keeper = keeper_of(features, train, self.name, self.protocol(features.model, test, train))
        head, facts = features.once(
            keeper.identity, lambda: self._learned(features, train, pooled.shape[1], keeper)
        )
        logits = pooled @ head.weight.detach().T + head.bias.detach()
        return classified(test, asked.rows, logits, facts)

    def _learned(
        self, features: FeatureStore, train: LabelledSet, width: int, keeper: Keeper
    ) -> tuple[Head, dict[str, Any]]:
        assert train.probed is not None
        model, recipe = features.model, self.settings
        pictures = Pictures([train, *([train.validation] if train.validation else [])])
        for part, bad in pictures.bad:
            features.tell_bad(part, bad)
        head, standing = (
            Head(width, len(train.probed.names), recipe.momentum),
            keeper.standing() or Standing(),
        )
        if standing.done:
            keeper.restore(head, head.sgd)
        done, loss, total = standing.done, standing.loss, recipe.epochs * pictures.steps(recipe.batch)
        left = self._batches(pictures, done)
        for epoch, index, ids, images in watched(left, total - done, f"linear layer of {train.name}"):
            views = make_views(images, [training_view(model.image_size)], SEED, ids, epoch)
            found = model.encode_image(next(iter(views.values())))
            one = head.step(found, pictures.labels_of(ids), recipe.rate(epoch)) * len(ids)
            done, loss = done + 1, loss + one if index else one
            if done == total or keeper.due():
                keeper.save(Standing(done=done, loss=loss), head, head.sgd)
        unreadable = sum(len(bad) for _, bad in pictures.bad)
        return head, {"train_loss": loss / len(pictures.ids), "unreadable_to_learn_from": unreadable}

    def _batches(self, pictures: Pictures, done: int) -> Iterator[tuple[int, int, Ids, list[Pixels]]]:
        """All batches after so many: epoch, place there, ids and pictures."""
        began, first = divmod(done, pictures.steps(self.settings.batch))
        for epoch in range(began, self.settings.epochs):
            start = first if epoch == began else 0
            for index, batch in enumerate(pictures.batches(self.settings.batch, epoch, start), start):
                yield epoch, index, *batch


class Head(nn.Module):
    """A linear layer of small normal weights, as SLIP's begins, and its momentum."""

    def __init__(self, width: int, classes: int, momentum: float) -> None:
        super().__init__()
        chance = np.random.Generator(np.random.Philox(key=stream("linear layer", SEED)))
        drawn = 0.01 * chance.standard_normal((classes, width), dtype=np.float32)
        self.weight, self.bias = nn.Parameter(torch.from_numpy(drawn)), nn.Parameter(torch.zeros(classes))
        self.sgd = torch.optim.SGD(self.parameters(), lr=0.0, momentum=momentum)

    def step(self, features: Float32[Tensor, "b d"], labels: Int64[np.ndarray, " b"], rate: float) -> float:
        """One step at this learning rate; gives the loss before it.

        Raises:
            SightwordError: the loss is no longer a number.
        """
        loss = F.cross_entropy(features @ self.weight.T + self.bias, torch.from_numpy(labels))
        if not torch.isfinite(loss):
            raise SightwordError(
                "the linear layer diverged: the features are too large for this learning rate;"
                " use the task linear"
            )
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.param_groups[0]["lr"] = rate
        self.sgd.step()
        return float(loss.detach())


class Pictures:
    """The readable pictures of some sets, in another order in each epoch.

    Attributes:
        ids: of each; its position in the sets, laid end to end.
        bad: of each set, (key, reason) of those that are left out.
    """

    def __init__(self, parts: Sequence[LabelledSet]) -> None:
        self._places = [(part, i) for part in parts for i in range(len(part))]
        self._labels = np.concatenate([part.probed.of for part in parts if part.probed is not None])
        self._kept: dict[int, Pixels] = {}
        good, room = list[int](), KEPT
        bad: dict[int, list[tuple[str, str]]] = {id(part): [] for part in parts}
        for start in watched(range(0, len(self._places), 256), len(self._places), "pictures", 256):
            ids = range(start, min(start + 256, len(self._places)))
            for i, picture in zip(ids, self._read(ids), strict=True):
                if isinstance(picture, BadSample):
                    bad[id(self._places[i][0])].append((picture.key, picture.reason))
                    continue
                good.append(i)
                room -= picture.nbytes
                if room >= 0:
                    self._kept[i] = picture
        self.ids, self.bad = np.array(good, dtype=np.int64), [(part, bad[id(part)]) for part in parts]
        if not good:
            raise SightwordError(f"no picture of {parts[0].name}/{parts[0].split} can be read")

    def labels_of(self, ids: Int64[np.ndarray, " b"]) -> Int64[np.ndarray, " b"]:
        """What they show."""
        return self._labels[ids]

    def steps(self, size: int) -> int:
        """Batches of an epoch."""
        return ceil(len(self.ids) / size)

    def batches(self, size: int, epoch: int, first: int = 0) -> Iterator[tuple[Ids, list[Pixels]]]:
        """Ids and pictures, each once, without the batches before `first`; the last may be smaller."""
        order = np.argsort(
            uniform(SEED, stream("linear layer's order"), self.ids, epoch, 1)[:, 0], kind="stable"
        )
        for start in range(first * size, len(order), size):
            ids = self.ids[order[start : start + size]]
            pictures = self._read(ids.tolist())
            gone = next((one for one in pictures if isinstance(one, BadSample)), None)
            if gone is not None:
                raise SightwordError(f"picture {gone.key} could be read before and cannot now: {gone.reason}")
            yield ids, [one for one in pictures if not isinstance(one, BadSample)]

    def _read(self, ids: Sequence[int]) -> list[Pixels | BadSample]:
        missing = [i for i in ids if i not in self._kept]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            fresh = dict(
                zip(missing, threads.map(lambda i: picture_of(*self._places[i]), missing), strict=True)
            )
        return [self._kept[i] if i in self._kept else fresh[i] for i in ids]


def training_view(size: int) -> View:
    """RandomResizedCrop and a flip, torchvision's defaults."""
    return View(size=size, scale=(0.08, 1.0), flip=0.5)


def resized(size: int) -> int:
    """Pixels of the shorter side of test pictures before the crop: 256 for 224."""
    return round(size * 256 / 224)
