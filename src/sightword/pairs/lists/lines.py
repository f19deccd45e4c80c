"""Lines of text files, and the records of a csv; a line that is wrong costs nothing but itself."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading

_SEPARATORS = ",\t;|"
_NAMED = {"\\t": "\t", "tab": "\t", "comma": ",", "space": " "}

Refuse = Callable[[int, str], None]  # a line's number, and what is wrong with it


def text_lines(file: Path) -> Iterator[str]:
    """The lines of a file, ends included, without a byte-order mark.

    Raises:
        SightwordError: the file cannot be read, or is not UTF-8: as with captions in tars, leaving out what
            is not would drop every caption with an accent and keep the rest.
    """
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise SightwordError(
                        f"'{file}', line {number:,}, is not UTF-8 (byte {error.start} of the line is"
                        f" 0x{line[error.start]:02x}); convert the file, as by iconv -f latin1 -t utf-8"
                    ) from error
    except OSError as error:
        raise SightwordError(f"cannot read '{file}': {error.strerror}; check its rights") from error


def separator_of(file: Path, reading: Reading) -> str:
    """What stands between a table's columns: what `reading` says, else what its header line says.

    Raises:
        SightwordError: the separator is longer than one character.
    """
    given = _NAMED.get(reading.separator, reading.separator)
    if len(given) > 1:
        raise SightwordError(f"--csv-separator is '{given}'; give one character, such as , or ; or tab")
    if given:
        return given
    header = next(text_lines(file), "")
    usual = "\t" if file.suffix.lower() == ".tsv" else ","
    counts = {separator: header.count(separator) for separator in (usual, *_SEPARATORS)}
    if counts[usual] and usual == "\t":
        return usual
    return max(counts, key=lambda separator: counts[separator])


def records(file: Path, separator: str, refuse: Refuse) -> Iterator[list[str]]:
    """The records of a csv, the header first, all as long as the header.

    Quoted values may hold separators and line ends. A quote that is never closed would swallow the lines
    after it: then the line is read as if quotes meant nothing, and those after it as lines of their own.

    Args:
        file: the table.
        separator: one character.
        refuse: told of every line with more or fewer columns than the header.
    """
    lines = _Lines(text_lines(file))
    width = 0
    while True:
        lines.begin()
        values, why = _record(lines, separator, width)
        if not lines.taken:
            return
        if values is None:
            refuse(lines.number, why)
        elif values:
            width = width or len(values)
            yield values


def _record(lines: _Lines, separator: str, width: int) -> tuple[list[str] | None, str]:
    """The next record; None and a reason when it is wrong, [] for an empty line."""
    try:
        values = next(csv.reader(lines, delimiter=separator, strict=True), [])
        why = f"has {len(values)} columns where the header has {width}"
        if not values or len(values) == width or not width:
            return values, ""
    except csv.Error as error:
        why = str(error)
    lines.keep_first()
    literal = next(csv.reader(lines.taken, delimiter=separator, quoting=csv.QUOTE_NONE), [])
    return (literal, "") if width and len(literal) == width else (None, why)


@final
class _Lines(Iterator[str]):
    """Lines that can be given back, and the number of the one at which a record began."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.taken: list[str] = []  # since `begin`
        self.number = 1  # of the first of them
        self._back = deque[str]()
        self._lines = lines

    def __next__(self) -> str:
        self.taken.append(self._back.popleft() if self._back else next(self._lines))
        return self.taken[-1]

    def begin(self) -> None:
        """A new record."""
        self.number += len(self.taken)
        self.taken = []

    def keep_first(self) -> None:
        """Give back all lines of this record but the first."""
        self._back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
