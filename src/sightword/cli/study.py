"""`sightword study`: what is asked for, worked out on the data that is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightword.cli.flags import changes
from sightword.cli.study_flags import Study as Flags
from sightword.config import Config, override
from sightword.errors import SightwordError, unknown

if TYPE_CHECKING:  # help must not wait for torch
    from sightword.study.design import Study
    from sightword.study.launching.launcher import Launcher


def run(flags: Flags) -> None:
    """Carry a study out, and print where its page lies.

    Raises:
        SightwordError: what is asked for makes no sense, is refused, or has failed.
    """
    from sightword.planning import devices
    from sightword.study.run import Carrying, page_of, plan_study, run_study

    device = devices.find(flags.carrying.gpu, None, None)
    carrying = Carrying(design(flags), Path(flags.out), _launcher(flags), _tell, device)
    if flags.plan:
        plan_study(carrying)
    else:
        print(page_of(carrying) if flags.page else run_study(carrying, flags.yes))


def design(flags: Flags) -> Study:
    """The study that flags ask for; a directory that holds one is gone on with when no data is named."""
    from sightword.study import keeping
    from sightword.study.design import Study
    from sightword.study.sizing import batch_unasked, sizes

    if flags.pairs.data is None:
        _check_alone(flags)
        return keeping.read(Path(flags.out))
    models = _models(flags)
    base = _base(flags, models[0])
    splits = tuple(_parts(flags.score.test_splits))
    held_out, left = _shares(base, flags.score.held_out, splits)
    wanted = sizes(flags.grid.sizes, left)
    batch = flags.run.batch_size or batch_unasked(wanted[0] if wanted else left)
    on = _parts(flags.score.on) or (["demo"] if base.data.path == "demo" else [])
    return Study(
        objectives=flags.grid.objectives,
        models=models,
        sizes=wanted,
        seeds=tuple(range(flags.grid.seeds)),
        budgets=tuple(_parts(flags.grid.budget)),
        epochs=flags.run.epochs,
        lrs=tuple(sorted(_number(part) for part in _parts(flags.grid.lrs))),
        held_out=held_out,
        splits=splits,
        on=tuple(on),
        tasks=tuple(_parts(flags.score.tasks)),
        data_root=flags.score.data_root,
        settings=flags.run.set,
        base=replace(base, batch_size=batch),
    )


def _check_alone(flags: Flags) -> None:
    """Without data a study goes on as it is: what would change it must not be passed over."""
    plain = Flags()
    for name in ("pairs", "grid", "run", "score", "machine", "tables"):
        for field in fields(getattr(plain, name)):
            if getattr(getattr(flags, name), field.name) != getattr(getattr(plain, name), field.name):
                raise SightwordError(
                    f"--{field.name.replace('_', '-')} is given without --data; give --data and all flags"
                    " again to change or extend a study, or --out alone to go on with it"
                )


def _models(flags: Flags) -> tuple[str, ...]:
    """Those asked for, or a small one that suits the machine, which is told."""
    from sightword.study.sizing import model_unasked

    models = tuple(_parts(flags.grid.models))
    if flags.grid.models and not models:
        raise SightwordError(f"--models '{flags.grid.models}' names none; see sightword train --list")
    if not models:
        models = (model_unasked(flags.carrying.launcher == "local"),)
        _tell(f"model: {models[0]}, as --models names none; sightword train --list shows larger ones")
    return models


def _base(flags: Flags, model: str) -> Config:
    """What every run has alike, but for its part of the data, its objective and its length."""
    from sightword.cli import settings
    from sightword.recipes import general

    given = flags.as_train()
    base = replace(general.plain(model), zeroshot_frequency=0, log_every=20)
    return override(override(base, changes(given), "the flag for"), settings(given.set))


def _shares(base: Config, asked: int | None, splits: Sequence[str]) -> tuple[int, int]:
    """How many pairs are held out, and how many are left to learn from."""
    from sightword.study.sizing import held_out_unasked
    from sightword.training.data import all_pairs

    pairs = all_pairs(base)
    unasked = 0 if splits or base.data.path == "demo" else held_out_unasked(len(pairs))
    held_out = unasked if asked is None else asked
    if held_out < 0 or held_out >= len(pairs):
        raise SightwordError(
            f"--held-out is {held_out:,}, and there are {len(pairs):,} pairs; hold out fewer than that"
        )
    return held_out, len(pairs) - held_out


def _launcher(flags: Flags) -> Launcher:
    from sightword.cli import settings

    given: dict[str, Any] = settings(flags.carrying.cluster)
    if flags.carrying.launcher == "local":
        from sightword.study.launching.local import Local

        if given:
            raise SightwordError("--cluster is for --launcher slurm or ray; leave it out")
        return Local(flags.carrying.slots or 0)
    from sightword.study.launching.ray import Ray
    from sightword.study.launching.slurm import Slurm

    kind = Slurm if flags.carrying.launcher == "slurm" else Ray
    own = {field.name for field in fields(kind)} - {"folder", "more"}
    known = {name: value for name, value in given.items() if name in own}
    others = {name: value for name, value in given.items() if name not in own}
    if kind is Slurm:
        return override(Slurm(Path(flags.out), more=others), known, "--cluster")
    if others:
        raise unknown("setting of --cluster", next(iter(others)), own)
    return override(Ray(), known, "--cluster")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SightwordError(f"--lrs wants numbers such as 3e-4,1e-3,3e-3; found '{text}'") from error


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
