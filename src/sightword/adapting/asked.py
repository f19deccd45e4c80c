"""`adapt.toml`: what is adapted to what, and how; the same directory never holds two adaptations."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sightword.adapting.settings import Setting
from sightword.config import Config, from_toml, to_toml
from sightword.errors import SightwordError
from sightword.study.sameness import differences
from sightword.training.disk import write_text

FILE, REASONS = "adapt.toml", "settings.json"
RUN, START, ADAPTED, MIXED = "run", "start", "adapted", "mixed"  # folders
CHECKED, HELD_OUT = "check", "held_out"
ALPHAS = tuple(round(0.1 * i, 1) for i in range(11))  # those of WiSE-FT's figures
TOLERANCE = 0.01  # of the reference score, a fraction
_FIXED = ("weights", "held_out", "splits")


@dataclass(frozen=True)
class Asked:
    """An adaptation.

    weights: what is adapted.
    config: of the run, all settings chosen.
    held_out: pairs kept away from training; or `splits` of the data, for validation and test.
    reference: sets that should not become worse, as `sightword evaluate --on` takes them.
    alphas: shares of the adapted weights that are tried; 0 and 1 always are.
    tolerance: how much of its score the reference may lose, a fraction.
    checked: whether the data are examined first.
    """

    weights: str
    config: Config
    held_out: int
    splits: tuple[str, ...] = ()
    reference: tuple[str, ...] = ("demo",)
    data_root: str = "."
    alphas: tuple[float, ...] = ALPHAS
    tolerance: float = TOLERANCE
    checked: bool = True

    def __post_init__(self) -> None:
        if any(not 0 <= alpha <= 1 for alpha in self.alphas):
            raise SightwordError(f"--alphas are shares from 0 to 1, found {_listed(self.alphas)}")
        if not 0 <= self.tolerance < 1:
            raise SightwordError(f"--tolerance is a share of 1 such as 0.01, found {self.tolerance:g}")
        if self.splits and len(self.splits) != 2:
            raise SightwordError("--test-splits wants two, for validation and test, such as val,test")
        object.__setattr__(self, "alphas", tuple(sorted({0.0, 1.0, *self.alphas})))


def keep(asked: Asked, reasons: Sequence[Setting], out: Path) -> None:
    """Write `adapt.toml`, or see that what lies there is the same adaptation.

    Alphas, tolerance and reference may change: nothing that was trained depends on them. Before training
    everything may: what was made by another plan is made again.

    Raises:
        SightwordError: another adaptation, or something else, lies there.
    """
    if (out / FILE).is_file():
        was = read(out)
        if (out / RUN).exists():
            _check(was, asked, out)
        elif was != asked:
            _forget_plan(was, asked, out)
    elif out.exists() and any(out.iterdir()):
        raise SightwordError(f"'{out}' is not empty and holds no adaptation; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / REASONS, json.dumps([asdict(one) for one in reasons], indent=1) + "\n")
    write_text(out / FILE, to_toml(asked))


def read(out: Path) -> Asked:
    """The adaptation of a directory.

    Raises:
        SightwordError: there is none.
    """
    path = out / FILE
    if not path.is_file():
        raise SightwordError(
            f"no {FILE} in '{out}'; give --from WEIGHTS and --data PAIRS to begin, or the directory of an"
            " adaptation as --out to go on with it"
        )
    return from_toml(Asked, path.read_text(encoding="utf-8"), str(path))


def reasons_of(out: Path) -> list[Setting]:
    """The settings of an adaptation with their reasons; none where the file is gone."""
    path = out / REASONS
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [Setting(**row) for row in rows]


def _forget_plan(was: Asked, now: Asked, out: Path) -> None:
    """Remove what a plan has made that is of other weights, settings or data."""
    shutil.rmtree(out / START, ignore_errors=True)
    if (was.held_out, was.splits, was.config.data) != (now.held_out, now.splits, now.config.data):
        shutil.rmtree(out / HELD_OUT, ignore_errors=True)


def _check(was: Asked, now: Asked, out: Path) -> None:
    told = [
        f"{name} was {getattr(was, name)!r}, now {getattr(now, name)!r}"
        for name in _FIXED
        if getattr(was, name) != getattr(now, name)
    ]
    told += [f"{name} was {one!r}, now {other!r}" for name, one, other in differences(was.config, now.config)]
    if told:
        raise SightwordError(
            f"'{out}' holds another adaptation: {'; '.join(told)}; ask for those again, or give another --out"
        )


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
