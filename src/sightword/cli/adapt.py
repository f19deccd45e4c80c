"""`sightword adapt`: what is asked for, worked out on the data and weights that are there."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightword.cli.adapt_flags import Adapt as Flags
from sightword.cli.flags import changes
from sightword.config import Config, override
from sightword.errors import SightwordError

if TYPE_CHECKING:  # help must not wait for torch
    from sightword.adapting.run import Adapting

_ALONE = (
    "--{} is given without --from; give --from, --data and all flags again to change an adaptation, or --out"
    " alone to go on with it"
)


def run(flags: Flags) -> None:
    """Carry an adaptation out, and print where its page lies.

    Raises:
        SightwordError: what is asked for makes no sense, is refused, or has failed.
    """
    from sightword.adapting.run import adapt, conclude, plan

    if flags.page and (flags.plan or flags.weights):
        raise SightwordError("--page draws what is finished, as it was asked for: give --out alone with it")
    doing = design(flags)
    if flags.plan:
        plan(doing)
    else:
        print(conclude(doing) if flags.page else adapt(doing, flags.yes))


def design(flags: Flags) -> Adapting:
    """The adaptation that flags ask for; one that has begun is gone on with when no weights are named."""
    from sightword.adapting import asked, settings
    from sightword.adapting.run import Adapting
    from sightword.weights.sources import open_weights

    out = Path(flags.out)
    if not flags.weights:
        _check_alone(flags)
        return Adapting(asked.read(out), asked.reasons_of(out), out, _tell)
    if flags.pairs.data is None:
        raise SightwordError(
            "--from names weights, but --data no pairs; give both, or neither to go on in --out"
        )
    if flags.towers.text_model:
        raise SightwordError("--text-model names a text tower, and --from brings its own; leave it out")
    splits = tuple(_parts(flags.scored.test_splits))
    base, held_out, left = _data(flags, splits)
    known = settings.Known.of(open_weights(flags.weights), flags.weights, left)
    config, reasons = settings.suggest(base, flags.weights, known, _given(flags))
    wanted = asked.Asked(
        weights=flags.weights,
        config=config,
        held_out=held_out,
        splits=splits,
        reference=tuple(_parts(flags.scored.reference)),
        data_root=flags.scored.data_root,
        alphas=tuple(_number(part) for part in _parts(flags.guard.alphas)),
        tolerance=flags.guard.tolerance,
        checked=not flags.no_check,
    )
    return Adapting(wanted, reasons, out, _tell)


def _data(flags: Flags, splits: tuple[str, ...]) -> tuple[Config, int, int]:
    """A run's data, how many pairs are held out, and how many are left to learn from."""
    from sightword.study.sizing import held_out_unasked
    from sightword.training.data import all_pairs

    base = override(Config(log_every=10), changes(flags.data_as_train()), "the flag for")
    pairs = len(all_pairs(base))
    unasked = 0 if splits else held_out_unasked(pairs)
    held_out = unasked if flags.scored.held_out is None else flags.scored.held_out
    if not 0 <= held_out < pairs:
        raise SightwordError(
            f"--held-out is {held_out:,}, and there are {pairs:,} pairs; hold out fewer than that"
        )
    if not (held_out or splits):
        raise SightwordError(
            "nothing is held out to choose by and to test on; give --held-out, or --test-splits"
        )
    return replace(base, data=replace(base.data, held_out=held_out)), held_out, pairs - held_out


def _given(flags: Flags) -> dict[str, Any]:
    """Settings that the user gave, by dotted names."""
    from sightword.cli import settings

    return {**changes(flags.learning_as_train()), **settings(flags.learning.set)}


def _check_alone(flags: Flags) -> None:
    """Without weights an adaptation goes on as it is: what would change it must not be passed over."""
    if flags.no_check:
        raise SightwordError(_ALONE.format("no-check"))
    plain = Flags()
    for name in ("pairs", "learning", "towers", "length", "scored", "guard", "machine", "tables"):
        for one in fields(getattr(plain, name)):
            if getattr(getattr(flags, name), one.name) != getattr(getattr(plain, name), one.name):
                raise SightwordError(_ALONE.format(one.name.replace("_", "-")))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SightwordError(f"--alphas wants numbers such as 0,0.5,1; found '{text}'") from error


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
