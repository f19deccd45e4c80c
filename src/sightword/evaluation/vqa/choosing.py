"""Learning from a training part: settings chosen on held-out pictures or the publisher's split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64

from sightword.errors import SightwordError
from sightword.evaluation.heldout import SHARE
from sightword.evaluation.keeping import Keeper, Standing
from sightword.evaluation.vqa.learning import Answerer, Pool, predict, train
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.recipe import Recipe
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.randomness import stream, uniform

Pair = tuple[float, int]  # learning rate and epochs


@dataclass(frozen=True, eq=False)
class Learning:
    """What all trainings of one head share.

    make: a fresh answerer, the same each time.
    vocabulary: the answers to choose among.
    device: where it computes.
    what: is learned, for the bar.
    keeper: goes on with what an earlier call was at.
    """

    make: Callable[[], Answerer]
    vocabulary: Vocabulary
    recipe: Recipe
    device: torch.device
    what: str
    keeper: Keeper

    def best(self, known: Pool, validation: Pool | None) -> tuple[Answerer, Mapping[str, Any]]:
        """An answerer trained with the pair of `recipe.lrs` and `recipe.epochs` that does best.

        Best on the publisher's validation split, and then it is taken as it is; or, where there is none, on
        a fifth of the pictures, and then one is trained on all of them. With one pair alone nothing is
        chosen.

        Args:
            known: what may be learned from.
            validation: the publisher's split for choosing.

        Returns:
            The answerer, and what was chosen.
        """
        standing = self.keeper.standing() or Standing()
        pairs: list[Pair] = list(product(self.recipe.lrs, self.recipe.epochs))
        if len(pairs) == 1:
            return self._fitted(known, pairs[0], standing), _chosen(pairs[0], None)
        rest, held = parted(known) if validation is None else (known, validation)
        kept = dict[Pair, Answerer]()
        for pair in pairs:
            if str(pair) in standing.scored:
                continue
            answerer = self._fitted(rest, pair, standing.at(str(pair)))
            score = self._score(answerer, held)
            if validation is not None and score > max(standing.scored.values(), default=-1.0):
                kept = {pair: answerer}
                self._beside.save(Standing(trial=str(pair)), answerer)
            standing = Standing({**standing.scored, str(pair): score})
        found = max(pairs, key=lambda pair: standing.scored[str(pair)])  # of equal ones the first
        chosen = _chosen(found, standing.scored[str(found)])
        if validation is None:
            return self._fitted(known, found, standing.at("")), chosen
        again = standing.at(str(found))
        return kept.get(found) or self._restored(found) or self._fitted(rest, found, again), chosen

    def _fitted(self, pool: Pool, pair: Pair, standing: Standing) -> Answerer:
        answerer, (lr, epochs) = self.make(), pair
        what = f"{self.what}, lr {lr:g}, {epochs} epochs"
        train(answerer, pool, self.recipe, lr, epochs, self.device, what, self.keeper, standing)
        return answerer

    def _score(self, answerer: Answerer, held: Pool) -> float:
        answers = predict(answerer, held, self.device, f"{self.what}, held out")
        return float(self.vocabulary.scores(held.part, held.rows, answers).mean())

    @property
    def _beside(self) -> Keeper:
        """Keeps the best so far, where it will be taken as it is."""
        return self.keeper.beside("best")

    def _restored(self, pair: Pair) -> Answerer | None:
        """The best that an earlier call trained."""
        standing = self._beside.standing()
        if standing is None or standing.trial != str(pair):
            return None
        answerer = self.make()
        self._beside.restore(answerer)
        return answerer


def _chosen(pair: Pair, held_out: float | None) -> dict[str, Any]:
    lr, epochs = pair
    return {"lr": lr, "epochs": epochs, "held_out_vqa_accuracy": held_out}


def parted(known: Pool) -> tuple[Pool, Pool]:
    """What is learned from while settings are chosen, and what they are chosen on.

    Raises:
        SightwordError: when a pool has too few pictures for both.
    """
    held = held_pictures(known.part, known.rows)
    if held.all() or not held.any():
        name = f"{known.part.name}/{known.part.split}"
        raise SightwordError(f"{name} has too few pictures to hold some out; wanted at least {1 / SHARE:.0f}")
    return replace(known, rows=known.rows[~held]), replace(known, rows=known.rows[held])


def held_pictures(part: QuestionSet, rows: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """True for the questions about a fifth of the pictures, so that no picture lies on both sides."""
    of = part.questions.of[rows]
    pictures = np.unique(of)
    draws = uniform(0, stream("held out pictures"), pictures, 0, 1)[:, 0]
    taken = pictures[np.argsort(draws, kind="stable")[: int(SHARE * len(pictures))]]
    return np.isin(of, taken)
