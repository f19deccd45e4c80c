"""Learning from a training part: settings chosen on held-out pictures or the publisher's split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64

from sightword.errors import SightwordError
from sightword.evaluation.heldout import SHARE
from sightword.evaluation.vqa.learning import Answerer, Pool, predict, train
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.recipe import Recipe
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.randomness import stream, uniform


def learned(
    make: Callable[[], Answerer],
    known: Pool,
    validation: Pool | None,
    vocabulary: Vocabulary,
    recipe: Recipe,
    device: torch.device,
    what: str,
) -> tuple[Answerer, Mapping[str, Any]]:
    """An answerer trained with the pair of `recipe.lrs` and `recipe.epochs` that does best.

    Best on the publisher's validation split, and then it is taken as it is; or, where there is none, on a
    fifth of the pictures, and then one is trained on all of them. With one pair alone nothing is chosen.

    Args:
        make: a fresh answerer, the same each time.
        known: what may be learned from.
        validation: the publisher's split for choosing.
        vocabulary: the answers to choose among.
        recipe: the settings.
        device: where it computes.
        what: is learned, for the bar.

    Returns:
        The answerer, and what was chosen.
    """

    def fitted(pool: Pool, lr: float, epochs: int) -> Answerer:
        answerer = make()
        train(answerer, pool, recipe, lr, epochs, device, f"{what}, lr {lr:g}, {epochs} epochs")
        return answerer

    pairs = list(product(recipe.lrs, recipe.epochs))
    if len(pairs) == 1:
        return fitted(known, *pairs[0]), _chosen(*pairs[0], None)
    rest, held = parted(known) if validation is None else (known, validation)
    best, found, kept = -1.0, pairs[0], None
    for pair in pairs:
        answerer = fitted(rest, *pair)
        right = vocabulary.scores(held.part, held.rows, predict(answerer, held, device, f"{what}, held out"))
        if right.mean() > best:
            best, found, kept = float(right.mean()), pair, answerer
    assert kept is not None
    return kept if validation is not None else fitted(known, *found), _chosen(*found, best)


def _chosen(lr: float, epochs: int, held_out: float | None) -> dict[str, Any]:
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
