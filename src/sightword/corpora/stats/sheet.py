"""Which pictures are shown: a random sample, and the extremes of everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from sightword.corpora.stats.captions import Read
from sightword.corpora.stats.pictures import Seen
from sightword.corpora.stats.record import Repeats, Shown
from sightword.corpora.stats.sample import distinct
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.report.phrases import TIMES
from sightword.report.thumbnails import data_uri, small
from sightword.views.decode import decode

RANDOM, ALIKE, UNREADABLE = "A random sample", "Near copies", "Unreadable"
_RANDOM, _EACH, _BAD = 36, 6, 12
_SIDE = 132  # pixels: shown at 96, sharper where screens are


def choose(pairs: Pairs, seen: Seen, read: Read, repeats: Repeats, seed: int) -> tuple[Shown, ...]:
    """The contact sheet: the random sample first."""
    return (
        *_random(pairs, seen, seed),
        *_extremes(pairs, seen, read),
        *_alike(pairs, repeats),
        *_bad(pairs, seen),
    )


def thumbnails(pairs: Pairs, shown: Sequence[Shown]) -> Mapping[int, str]:
    """A small picture as a data URI for each number that can be read."""
    made = dict[int, str]()
    for one in shown:
        if one.number not in made and one.group != UNREADABLE:
            try:
                sample = pairs[one.number]
                made[one.number] = data_uri(small(Image.fromarray(decode(sample.image, one.key)), _SIDE))
            except (BadSample, SightwordError, OSError):  # listed among the unreadable, or a remote file went
                continue
    return made


def _random(pairs: Pairs, seen: Seen, seed: int) -> Iterator[Shown]:
    rows = seen.rows
    for place in distinct(len(rows), min(_RANDOM, len(rows)), seed).tolist():
        yield _shown(pairs, RANDOM, int(rows["number"][place]), _size(rows[place]))


def _extremes(pairs: Pairs, seen: Seen, read: Read) -> Iterator[Shown]:
    rows, texts = seen.rows, read.rows
    area = rows["width"].astype(np.int64) * rows["height"]
    shape = np.abs(np.log(rows["width"] / rows["height"]))
    for group, worth in (
        ("The smallest", area),
        ("The largest", -area),
        ("The most extreme shapes", -shape),
        ("The least varied", rows["entropy"]),
    ):
        for place in _firsts(worth, rows["print"]["file"]):
            yield _shown(pairs, group, int(rows["number"][place]), _size(rows[place]))
    length = texts["characters"].astype(np.int64)
    for group, worth in (("The longest captions", -length), ("The shortest captions", length)):
        for place in _firsts(worth, texts["hash"]):
            words, tokens = int(texts["words"][place]), int(texts["tokens"][place])
            note = f"{words:,} word{'' if words == 1 else 's'}, {tokens:,} tokens"
            yield _shown(pairs, group, int(texts["number"][place]), note, int(texts["which"][place]))


def _firsts(worth: Shaped[np.ndarray, " n"], same: Shaped[np.ndarray, " n"]) -> list[int]:
    """The places of the smallest values, none like another."""
    order = np.argsort(worth, kind="stable")
    _, first = np.unique(same[order], return_index=True)
    chosen: list[int] = order[np.sort(first)[:_EACH]].tolist()
    return chosen


def _alike(pairs: Pairs, repeats: Repeats) -> Iterator[Shown]:
    for place, both in enumerate(repeats.pairs):
        for number in both:
            yield _shown(pairs, ALIKE, number, f"pair {place + 1}")


def _bad(pairs: Pairs, seen: Seen) -> Iterator[Shown]:
    for bad in seen.unreadable[:_BAD]:
        yield _shown(pairs, UNREADABLE, bad.number, bad.reason)


def _shown(pairs: Pairs, group: str, number: int, note: str, which: int = 0) -> Shown:
    text = pairs.text(number)
    said = text.captions[which] if which < len(text.captions) else ""
    return Shown(group, number, text.key, " ".join(said.split())[:600], note)


def _size(row: np.void) -> str:
    kib = int(row["bytes"]) / 1024
    return f"{int(row['width'])} {TIMES} {int(row['height'])}, {kib:,.{0 if kib >= 10 else 1}f} KiB"
