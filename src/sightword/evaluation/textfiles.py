"""The small text files beside a data set: class names, synonyms, templates, counts."""

from __future__ import annotations

from pathlib import Path

from sightword.errors import SightwordError


def read_lines(path: Path) -> list[str]:
    """The lines of a file, stripped, without empty ones at the end; none when there is no file."""
    if not path.is_file():
        return []
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise SightwordError(f"'{path}' is not UTF-8; convert it (`iconv -f LATIN1 -t UTF-8`)") from error
    while lines and not lines[-1]:
        lines.pop()
    return lines


def class_lines(path: Path, classes: int) -> list[str]:
    """The lines of a file that has one for each class; none when there is no file."""
    lines = read_lines(path)
    if lines and len(lines) != classes:
        raise SightwordError(f"'{path}' has {len(lines)} lines for {classes} classes; wanted one for each")
    return lines
