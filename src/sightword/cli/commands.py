"""Which command was called, and what help says of all of them. No torch here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import sightword
from sightword.cli import usage
from sightword.cli.adapt_flags import Adapt
from sightword.cli.data_flags import DATA_COMMANDS
from sightword.cli.export import Export
from sightword.cli.flags import Compare, Demo, Evaluate, Report, Train
from sightword.cli.plan_flags import Plan
from sightword.cli.profile_flags import Profile
from sightword.cli.search_flags import IndexPictures, Search
from sightword.cli.study_flags import Study
from sightword.errors import unknown

_COMMANDS: dict[str, type] = {
    "demo": Demo,
    "plan": Plan,
    "train": Train,
    "profile": Profile,
    "evaluate": Evaluate,
    "report": Report,
    "compare": Compare,
    "study": Study,
    "adapt": Adapt,
    "index": IndexPictures,
    "search": Search,
    "export": Export,
    **{f"data {name}": kind for name, kind in DATA_COMMANDS.items()},
}
_ABOUT = """\
Pre-train image encoders from pictures and captions, by word (clip) and by sight
(simclr, mae), in any combination, and measure whether the sight paid."""


def parse(arguments: list[str]) -> Any:
    """The flags of the command that was called. Prints help and exits by itself.

    Raises:
        SightwordError: for a command or a flag that nobody knows, or a value that a flag cannot take.
    """
    name, *rest = arguments or ["--help"]
    if name == "data":
        own = {one: kind for one, kind in _COMMANDS.items() if one.startswith("data ")}
        second, *rest = rest or ["--help"]
        return _called(f"data {second}" if second[0] != "-" else second, rest, own)
    return _called(name, rest, _COMMANDS)


def _called(name: str, rest: list[str], commands: Mapping[str, type]) -> Any:
    if name in ("-h", "--help", "help", "data help"):
        print(overview(commands))
        raise SystemExit(0)
    if name in ("-V", "--version"):
        print(f"sightword {sightword.__version__}")
        raise SystemExit(0)
    if name not in commands:
        raise unknown("command", name, commands, "(see sightword --help)")
    kind = commands[name]
    about, examples = _described(kind)
    shown = "\n".join(f"  {line}" for line in examples.splitlines())  # indented lines keep their breaks
    return usage.read(kind, rest, f"sightword {name}", f"{about}\n\n{shown}")


def overview(commands: Mapping[str, type] = _COMMANDS) -> str:
    """What `sightword --help` prints: the commands, each with its first example."""
    rows = []
    for name, kind in commands.items():
        about, examples = _described(kind)
        rows.append(f"  {name:<11} {about}\n                {examples.splitlines()[0]}")
    listed = "\n".join(rows)
    return f"{_ABOUT}\n\ncommands:\n{listed}\n\nsightword COMMAND --help shows its flags and more examples."


def _described(kind: type) -> tuple[str, str]:
    about, _, examples = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
    return about, examples
