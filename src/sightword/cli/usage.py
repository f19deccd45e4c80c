"""Flags are read by tyro; what it draws in a box for a wrong one is said in one line here."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from typing import TypeVar

import tyro

from sightword.errors import SightwordError

T = TypeVar("T")


def read(kind: type[T], arguments: list[str], prog: str, description: str) -> T:
    """The flags of a command. Help is printed, and ends the program.

    Raises:
        SightwordError: for a flag that is unknown, lacks its value or cannot take it.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, args=arguments, prog=prog, description=description)
    except SystemExit as end:
        if not end.code:
            raise
        raise SightwordError(f"{_one_line(said.getvalue())}; see {prog} --help") from None


def _one_line(box: str) -> str:
    """The first paragraph of each section of a box, joined, without its title and the pointer to the help."""
    sections: list[list[str]] = [[]]
    for row in box.strip().splitlines()[1:]:
        line = row.strip(" │╰╯")
        if line and not line.strip("─-"):
            sections.append([])
        else:
            sections[-1].append(line)
    parts = [part for part in map(_first_paragraph, sections) if part]
    told = [part for part in parts if not part.startswith("For full helptext")]
    return "; ".join(told or [box]).replace("{None}|", "")  # None is how a flag that is not given looks


def _first_paragraph(lines: list[str]) -> str:
    end = lines.index("") if "" in lines else len(lines)
    return " ".join(lines[:end]).rstrip(".")
