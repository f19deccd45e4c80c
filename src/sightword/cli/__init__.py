"""Floor 9. The command line: reads flags, calls one room, and turns a user's mistakes into one clear line."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sightword.cli import flags as given
from sightword.config import Config, override
from sightword.errors import SightwordError

if TYPE_CHECKING:
    from sightword.training.loop import Watch


def main(arguments: list[str] | None = None) -> None:
    """Run one command. Exit code 2 and one line on standard error for whatever a user can put right."""
    flags = given.parse(sys.argv[1:] if arguments is None else arguments)
    try:
        _COMMANDS[type(flags)](flags)
    except SightwordError as error:
        print(f"sightword: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def configure(flags: given.Train) -> Config:
    """The configuration of a new run: a recipe, or the plain one, with the flags' changes."""
    from sightword.recipes import catalogue, general, models

    model = flags.learning.model
    if flags.recipe:
        config = catalogue.find(flags.recipe)
        config = dataclasses.replace(config, model=models.find(model)) if model else config
    else:
        config = general.plain(model or general.MODEL)
    changes = given.changes(flags)
    if "steps" in changes:
        config = dataclasses.replace(config, epochs=0.0)
    if "epochs" in changes:
        config = dataclasses.replace(config, steps=0)
    return override(override(config, changes, "the flag for"), _settings(flags.set))


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise SightwordError(
                f"--set wants NAME=VALUE, found '{pair}'; write for example model.image.pool=gap"
            )
    return dict(pair.split("=", 1) for pair in pairs)


def _train(flags: given.Train) -> None:
    if flags.list:
        from sightword.recipes import listing

        print(listing.everything())
        return
    from sightword.training.loop import resume_training, train

    if flags.saving.resume:
        _only_resume(flags)
        latest = flags.saving.resume == "latest" and flags.saving.out is not None
        out = Path(str(flags.saving.out if latest else flags.saving.resume))
        resume_training(out, _watch())
    else:
        out = train(configure(flags), _watch())
    print(
        f"{out}: config.toml, metrics.jsonl, scores.jsonl, model.safetensors; next: sightword evaluate {out}"
    )


def _only_resume(flags: given.Train) -> None:
    others = [name for name in given.changes(flags) if name != "out"]
    if others or flags.recipe or flags.set or flags.learning.model:
        raise SightwordError(
            f"--resume goes on with the run's own settings, but others are given ({', '.join(others) or 'a recipe'});"
            " leave them out, or start a new run with another --out"
        )


def _watch() -> Watch:
    from sightword.evaluation.watch import zeroshot

    return zeroshot


def _evaluate(flags: given.Evaluate) -> None:
    from sightword.evaluation.run import evaluate
    from sightword.training.model import load_model

    model = load_model(flags.run)
    scores = evaluate(model, Path(flags.run), _parts(flags.on), _parts(flags.tasks), force=flags.force)
    for score in scores:
        print(score.line())


def _report(flags: given.Report) -> None:
    from sightword.report.page import write_report

    print(write_report([Path(run) for run in flags.runs], Path(flags.out)))


def _compare(flags: given.Compare) -> None:
    from sightword.evaluation.compare import compare_runs

    for difference in compare_runs(Path(flags.first), Path(flags.second)):
        print(difference.line())


def _demo(flags: given.Demo) -> None:
    from sightword.recipes.demo import run_demo

    print(run_demo(Path(flags.out), flags.seed))


def _parts(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


_COMMANDS: dict[type, Callable[..., None]] = {
    given.Train: _train,
    given.Evaluate: _evaluate,
    given.Report: _report,
    given.Compare: _compare,
    given.Demo: _demo,
}
