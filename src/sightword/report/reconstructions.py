"""What masked reconstruction saw, what it was asked for and what it painted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sightword.errors import SightwordError
from sightword.report.markup import Markup, join, tag
from sightword.report.records import Run
from sightword.report.thumbnails import strip

MOST = 10  # pictures in a strip
_ROWS = (("original", "original"), ("masked", "what it saw"), ("reconstructed", "what it painted"))


def reconstructions(runs: Sequence[Run]) -> Markup:
    """For every file of pictures of every run: original, masked and reconstructed, one strip each."""
    return join(
        tag(
            "figure",
            tag(
                "figcaption",
                f"{run.label}, {file.stem.replace('_', ' ')}: the first {_count(kinds)} pictures",
            ),
            tag("div", tag("div", *_rows(kinds), class_="labelled"), class_="strips"),
        )
        for run in runs
        for file, kinds in _files(run)
    )


def _rows(kinds: Mapping[str, UInt8[np.ndarray, "b 3 h w"]]) -> Iterator[Markup]:
    for kind, said in _ROWS:
        pictures = kinds[kind][:MOST]
        width = 72 * len(pictures)
        yield tag("span", said, class_="note")
        yield tag("img", src=strip(pictures), width=width, alt=f"{len(pictures)} pictures: {said}")


def _count(kinds: Mapping[str, np.ndarray]) -> int:
    return min(MOST, len(kinds["original"]))


def _files(run: Run) -> Iterator[tuple[Path, Mapping[str, UInt8[np.ndarray, "b 3 h w"]]]]:
    for file in sorted((run.path / "pictures").glob("*.safetensors")):
        try:
            kinds = load_file(file)
        except (SafetensorError, OSError) as error:
            raise SightwordError(f"'{file}' cannot be read ({error}); remove it or train again") from error
        if all(kind in kinds and kinds[kind].ndim == 4 for kind, _ in _ROWS):
            yield file, kinds
