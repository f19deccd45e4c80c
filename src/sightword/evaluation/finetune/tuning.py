"""The training of a classifier by a recipe, and what it then says of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.features import batches
from sightword.evaluation.finetune.classifier import TunedClassifier, make_classifier
from sightword.evaluation.finetune.layers import parameter_groups
from sightword.evaluation.finetune.mixing import targets
from sightword.evaluation.finetune.pictures import Feeder, Taught
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.evaluation.keeping import Keeper, Standing
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.progress import watched
from sightword.training.allocator import keep_memory
from sightword.training.model import Model
from sightword.training.optimizer import learning_rate
from sightword.training.setup import resolve_precision


class DivergedError(SightwordError):
    """The loss is not finite."""


def precision_of(model: Model) -> str:
    """What is computed in: the run's own choice, where it left the choice what this device is fastest in."""
    return resolve_precision(replace(model.config, device=str(model.device)))


def autocast(model: Model) -> torch.autocast:
    """The context of `precision_of`."""
    enabled = precision_of(model) == "bf16"
    return torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=enabled)


@dataclass(frozen=True, eq=False)
class Tuning:
    """One kind of fine-tuning: whose weights, on what, how.

    fresh: True starts from weights drawn anew, see `make_classifier`.
    """

    model: Model
    taught: Taught
    classes: int
    recipe: FineTuneRecipe
    seed: int = 0
    fresh: bool = False

    def train(
        self,
        samples: Int64[np.ndarray, " n"],
        factor: float,
        keeper: Keeper,
        standing: Standing,
        what: str,
    ) -> TunedClassifier:
        """Learn from some of the pictures.

        Args:
            samples: numbers of what is taught.
            factor: of the recipe's learning rate.
            keeper: saves at ends of epochs.
            standing: where this training stands; where epochs of it are done, the keeper has its weights.
            what: for the bar.

        Raises:
            DivergedError: when the loss is not finite.
            OSError: when a save fails.
        """
        if self.model.device.type == "cpu":
            keep_memory()
        recipe = self.recipe.at(factor)
        classifier = make_classifier(self.model, recipe, self.classes, self.seed, self.fresh)
        optimizer = torch.optim.AdamW(
            parameter_groups(classifier, recipe), lr=recipe.lr, betas=recipe.betas, fused=True
        )
        if standing.done:
            keeper.restore(classifier, optimizer)
        facts = classifier.tower.facts
        feeder = Feeder(self.taught, samples, recipe, facts, classifier.path_draws, self.seed)
        last = feeder.steps - 1
        for epoch, index, loss in self._steps(classifier, optimizer, feeder, standing.done, what):
            _check(loss, what)
            if index == last and epoch + 1 < recipe.epochs and keeper.due():
                keeper.save(replace(standing, done=epoch + 1), classifier, optimizer)
        if standing.done < recipe.epochs:
            keeper.save(replace(standing, done=recipe.epochs), classifier, optimizer)
        return classifier.eval()

    def _steps(
        self,
        classifier: TunedClassifier,
        optimizer: torch.optim.Optimizer,
        feeder: Feeder,
        start: int,
        what: str,
    ) -> Iterator[tuple[int, int, float]]:
        """Take every step that is left: its epoch, its place there, and its loss."""
        recipe, steps, device = feeder.recipe, feeder.steps, self.model.device
        places = [(epoch, index) for epoch in range(start, recipe.epochs) for index in range(steps)]
        for epoch, index, batch in watched(feeder.batches(places), len(places), what):
            classifier.train()
            rate = learning_rate(recipe.optimizer, epoch * steps + index, recipe.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            wanted = targets(batch.labels, self.classes, recipe.smoothing, batch.mix).to(device)
            draws = None if batch.draws is None else batch.draws.to(device)
            with autocast(self.model):
                scores = classifier(batch.images.to(device), draws)
            loss = F.cross_entropy(scores, wanted)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield epoch, index, float(loss.detach())

    def predict_taught(
        self, classifier: TunedClassifier, samples: Int64[np.ndarray, " n"]
    ) -> Float32[np.ndarray, "n c"]:
        """Scores of pictures of the training part, held out from this training."""
        prepared = replace(self.model.preparation, size=classifier.tower.facts.size)
        parts = [
            self._scores(classifier, prepared([self.taught.picture(i) for i in ids.tolist()]))
            for ids in np.array_split(samples, max(1, len(samples) // 256))
        ]
        return torch.cat(parts).numpy()

    def predict(
        self, classifier: TunedClassifier, asked: LabelledSet, rows: Int64[np.ndarray, " n"]
    ) -> Float[Tensor, "n c"]:
        """Scores of a set's readable pictures, those at `rows`, in their order."""
        prepared = replace(self.model.preparation, size=classifier.tower.facts.size)
        wanted, parts = set(rows.tolist()), list[Tensor]()
        for start, pictures in batches(asked, f"fine-tuned on {asked.name}/{asked.split}"):
            good = [p for i, p in enumerate(pictures, start) if i in wanted and not isinstance(p, BadSample)]
            if good:
                parts.append(self._scores(classifier, prepared(good)))
        return torch.cat(parts)

    @torch.no_grad()
    def _scores(self, classifier: TunedClassifier, images: Tensor) -> Float[Tensor, "b c"]:
        with autocast(self.model):
            return classifier.eval()(images.to(self.model.device)).float().cpu()


def _check(loss: float, what: str) -> None:
    if not np.isfinite(loss):
        raise DivergedError(f"{what}: the loss is {loss}; choose among lower learning rates")
