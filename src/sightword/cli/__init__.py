"""The command line: reads flags, calls one room, and turns a mistake into one clear line."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sightword.cli import adapt, commands, data, export, plan, profile, search, study
from sightword.cli import flags as given
from sightword.cli.adapt_flags import Adapt
from sightword.cli.export import Export
from sightword.cli.plan_flags import Plan
from sightword.cli.profile_flags import Profile
from sightword.cli.search_flags import IndexPictures, Search
from sightword.cli.study_flags import Study
from sightword.config import Config, override
from sightword.errors import LonelyError, SightwordError

if TYPE_CHECKING:  # a command imports what it needs when it is called: help must not wait for torch
    from sightword.corpora.checking.copies import Copies
    from sightword.training.model import Model


def main(arguments: list[str] | None = None) -> None:
    """Run one command. Exit code 2 and one line on standard error for whatever a user can put right."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin starve the loader's workers
    try:
        flags = commands.parse(sys.argv[1:] if arguments is None else arguments)
        _COMMANDS.get(type(flags), data.run)(flags)
        sys.stdout.flush()
    except SightwordError as error:
        if os.environ.get("RANK", "0") == "0" or isinstance(error, LonelyError):
            print(f"sightword: {' '.join(str(error).split())}", file=sys.stderr)
        if isinstance(error, LonelyError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(2)  # the others are gone: what waits for them at an ordinary end would never end
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # who read the output (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def configure(flags: given.Train) -> Config:
    """The configuration of a new run: a recipe, or the plain one, with the flags' changes."""
    from sightword.recipes import catalogue, general, models

    model = flags.learning.model
    if flags.recipe:
        config = catalogue.find(flags.recipe)
        config = dataclasses.replace(config, model=models.find(model)) if model else config
    else:
        config = general.plain(model or general.MODEL)
    if flags.towers.text_model:
        from sightword.recipes import borrowed  # as the next

        config = borrowed.with_text(config, flags.towers.text_model)
    if flags.learning.pretrained:
        from sightword.recipes import starting  # this one needs torch: it reads the weights

        config = starting.from_weights(config, flags.learning.pretrained, own_model=model is not None)
    changes = given.changes(flags)
    if "steps" in changes:
        config = dataclasses.replace(config, epochs=0.0)
    if "epochs" in changes:
        config = dataclasses.replace(config, steps=0)
    if "batch_size" in changes:
        config = dataclasses.replace(config, ranks=0)
    return override(override(config, changes, "the flag for"), settings(flags.set))


def settings(pairs: tuple[str, ...], example: str = "model.image.pool=gap") -> dict[str, str]:
    """What --set changes, by dotted names."""
    for pair in pairs:
        if "=" not in pair:
            raise SightwordError(f"--set wants NAME=VALUE, found '{pair}'; write for example {example}")
    return dict(pair.split("=", 1) for pair in pairs)


def _train(flags: given.Train) -> None:
    if flags.list:
        from sightword.recipes import listing

        print(listing.everything())
        return
    from sightword.recipes.runs import resume_and_score, train_and_score

    if flags.saving.resume and not _may_begin(flags):
        out = _only_resume(flags)
        scores = resume_and_score(out)
    else:
        config = configure(flags)
        # torchrun starts the same command again after a failure.
        restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        out, scores = Path(config.out), train_and_score(config, _may_begin(flags) or restarted)
    for score in scores:
        print(score.line())
    if scores:
        print(f"next: sightword report {out}")


def _may_begin(flags: given.Train) -> bool:
    """Whether it is `--resume latest` with all that a new run needs, as a job that is requeued says it."""
    others = set(given.changes(flags)) - {"out"} or flags.recipe or flags.set or flags.learning.model
    return flags.saving.resume == "latest" and flags.saving.out is not None and bool(others)


def _only_resume(flags: given.Train) -> Path:
    """The run to go on with; its own settings rule, so no others may be given."""
    others = [name for name in given.changes(flags) if name != "out"]
    if others or flags.recipe or flags.set or flags.learning.model:
        named = ", ".join(others) or "a recipe or model"
        raise SightwordError(
            f"--resume goes on with the run's own settings, but others are given ({named});"
            " leave them out, or start a new run with another --out"
        )
    latest = flags.saving.resume == "latest" and flags.saving.out is not None
    return Path(str(flags.saving.out if latest else flags.saving.resume))


def _evaluate(flags: given.Evaluate) -> None:
    root = Path(flags.data_root).expanduser()
    if flags.list:
        _list(root)
        return
    from sightword.evaluation.run import evaluate_all
    from sightword.training.model import load_model, place_of_scores
    from sightword.training.saving import best

    if not flags.run:
        raise SightwordError("evaluate wants the directory of a run (or --list, for the data sets it knows)")
    out = Path(flags.out) if flags.out else place_of_scores(flags.run)
    model = load_model(flags.run)
    for note in (*model.notes, *([f"scores go to {out}"] if model.family or flags.out else [])):
        _tell(note)
    done = evaluate_all(
        model, out, _parts(flags.on), _parts(flags.tasks), data_root=root, force=flags.force, say=_tell,
        copies=_copies(model, flags.contamination), report_to=_parts(flags.report_to),
        settings=settings(flags.set, "fewshot.shots=1,4"),
    )  # fmt: skip
    print("\n".join(done.lines()))
    if said := best.told(Path(flags.run)):
        print(f"note: {said}")
    if done.exit_code:
        sys.exit(done.exit_code)


def _copies(model: Model, wanted: str) -> Copies | None:
    from sightword.corpora.checking.copies import MOST, Copies

    if wanted == "off":
        return None
    if model.family:
        _tell("what these weights were trained on is not known: test pictures are not compared with it")
        return None
    return Copies(model.config, _tell, sys.maxsize if wanted == "always" else MOST)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _list(data_root: Path) -> None:
    from sightword.evaluation.listing import listing, tasks_listing

    print("\n".join([*tasks_listing(), "", *listing(data_root)]))


def _report(flags: given.Report) -> None:
    from sightword.report.page import write_report

    print(write_report([Path(run) for run in flags.runs], Path(flags.out)))


def _compare(flags: given.Compare) -> None:
    from sightword.evaluation.compare import FILE, compare

    found = compare(Path(flags.first), Path(flags.second), own=flags.own)
    found.write(Path(flags.out) if flags.out else Path(flags.second) / FILE)
    print("\n".join(found.lines()))


def _demo(flags: given.Demo) -> None:
    from sightword.recipes.demo import run_demo

    print(run_demo(Path(flags.out), flags.seed))


def _parts(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


_COMMANDS: dict[type, Callable[..., None]] = {
    Plan: plan.run,
    Profile: profile.run,
    Study: study.run,
    Adapt: adapt.run,
    IndexPictures: search.index,
    Search: search.search,
    Export: export.run,
    given.Train: _train,
    given.Evaluate: _evaluate,
    given.Report: _report,
    given.Compare: _compare,
    given.Demo: _demo,
}
