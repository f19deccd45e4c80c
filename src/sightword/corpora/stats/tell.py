"""From what was measured to what is recorded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sightword.config import ImageTowerConfig
from sightword.corpora.fingerprints import BLANK, agree
from sightword.corpora.near import near_pairs
from sightword.corpora.packing.keys import later_twins
from sightword.corpora.stats.captions import CONTEXT, LONGEST, Read
from sightword.corpora.stats.pictures import Seen
from sightword.corpora.stats.record import (
    CaptionStats,
    Common,
    Histogram,
    PictureStats,
    Repeats,
    Share,
)
from sightword.corpora.stats.urn import BATCHES, growth, shared_captions
from sightword.corpora.stats.words import NOISE
from sightword.pairs.base import Pairs

LOW_ENTROPY = 2.0  # bits: no more variety than four brightnesses, each as frequent
EXTREME = 3.0  # longer side over shorter
_COMMON = 30
_DOTS = 1200  # of the sizes' figure
_LOOKALIKES = 8
_SIDES = (0, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)
_MILLISECONDS = (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def pictures(seen: Seen, total: int, train_size: int) -> PictureStats:
    """Of the pictures of a sample from a corpus of `total` pairs."""
    rows, count = seen.rows, len(seen.rows)
    width, height = rows["width"].astype(np.int64), rows["height"].astype(np.int64)
    short, long = np.minimum(width, height), np.maximum(width, height)
    area, tower = width * height, ImageTowerConfig()
    mean = rows["mean"].mean(axis=0) if count else np.zeros(3)
    square = rows["square"].mean(axis=0) if count else np.zeros(3)
    seconds = float(rows["seconds"].sum())

    def share(mask: np.ndarray) -> Share:
        return Share.make(int(mask.sum()), count)

    return PictureStats(
        sample=count + len(seen.unreadable),
        readable=count,
        unreadable=Share.make(len(seen.unreadable), count + len(seen.unreadable)),
        unreadable_reasons=_counted(_kind_of(bad.reason) for bad in seen.unreadable),
        bytes_total=float(rows["bytes"].mean()) * total if count else 0.0,
        formats=_counted(name.decode() for name in rows["format"].tolist()),
        modes=_counted(name.decode() for name in rows["mode"].tolist()),
        shorter_side=histogram(short, _SIDES, open=True),
        aspect=histogram(width / height, [2.0 ** (step / 3 - 1 / 6) for step in range(-9, 11)], clip=True),
        bytes_per_pixel=histogram(rows["bytes"] / area, [2.0**step for step in range(-7, 5)], clip=True),
        megapixels=float(area.mean()) / 1e6 if count else 0.0,
        milliseconds=histogram(1000 * rows["seconds"], _MILLISECONDS, open=True),
        per_second=count / seconds if seconds else 0.0,
        train_size=train_size,
        smaller_than_training=share(short < train_size),
        twice_training=share(short > 2 * train_size),
        extreme_shape=share(long > EXTREME * short),
        animated=share(rows["animated"]),
        gray=share(rows["gray"]),
        blank=share(rows["contrast"] < BLANK / 255),
        low_entropy=share(rows["entropy"] < LOW_ENTROPY),
        brightness=histogram(rows["brightness"], np.linspace(0, 1, 21).tolist(), clip=True),
        contrast=histogram(rows["contrast"], np.linspace(0, 0.5, 21).tolist(), clip=True),
        entropy=histogram(rows["entropy"], np.linspace(0, 8, 17).tolist(), clip=True),
        channel_mean=tuple(mean.tolist()),
        channel_std=tuple(np.sqrt(np.maximum(0, square - mean**2)).tolist()),
        model_mean=tower.mean,
        model_std=tower.std,
        sizes=tuple(zip(width[:: _stride(count)].tolist(), height[:: _stride(count)].tolist(), strict=True)),
    )


def captions(read: Read, pairs: Pairs) -> CaptionStats:
    """Of the captions that were read; `pairs` tells the text of the commonest."""
    rows, count = read.rows, len(read.rows)
    frequencies = _frequencies(rows["hash"])
    first = _frequencies(rows["hash"][_first_of_each(rows["number"])])
    by_word = np.fromiter(read.words.values(), dtype=np.int64, count=len(read.words))
    return CaptionStats(
        pairs=read.pairs,
        captions=count,
        without=Share.make(read.per_picture[0], read.pairs),
        per_picture={str(number): read.per_picture[number] for number in sorted(read.per_picture)},
        characters=histogram(rows["characters"], *_lengths(rows["characters"])),
        words=histogram(rows["words"], *_lengths(rows["words"])),
        tokens=histogram(rows["tokens"], *_lengths(rows["tokens"], LONGEST)),
        context=CONTEXT,
        over_context=Share.make(int((rows["tokens"] > CONTEXT).sum()), count),
        distinct=len(frequencies),
        repeated=Share.make(int(frequencies[frequencies > 1].sum()), count),
        common=_commonest(rows, pairs),
        word_count=int(by_word.sum()),
        distinct_words=len(by_word),
        once_words=int((by_word == 1).sum()),
        common_words=tuple(Common(word, times) for word, times in _ranked(read.words)[:_COMMON]),
        growth=growth(frequencies),
        word_growth=growth(by_word),
        scripts=dict(_ranked(read.scripts)),
        noise={reason: Share.make(read.noise[reason], count) for reason in NOISE},
        noise_examples=read.noise_examples,
        letters=Share.make(read.letters, read.characters),
        splits=dict(_ranked(read.splits)),
        fields=dict(_ranked(read.fields)),
        batches=tuple(shared_captions(first, batch) for batch in BATCHES),
    )


def repeats(rows: np.ndarray) -> Repeats:
    """What comes again among the pictures of a sample, by the hashes that `data check` uses."""
    prints = rows["print"]
    same = later_twins(prints["file"])
    alone = np.setdiff1d(np.flatnonzero(prints["looks"]), same).astype(np.int64)
    near, _ = near_pairs(prints["coarse"][alone])
    near = alone[near]
    near = near[agree(prints, near, prints)]
    members, ends = np.unique(near, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(members), len(members)))
    later = len(members) - connected_components(graph, directed=False)[0] if len(members) else 0
    some = rows["number"][near[:: max(1, len(near) // _LOOKALIKES)][:_LOOKALIKES]]
    return Repeats(
        same_bytes=Share.make(len(same), len(rows)),
        near_copies=Share.make(later, len(rows)),
        pairs=tuple((int(a), int(b)) for a, b in some.tolist()),
    )


def histogram(
    values: Shaped[np.ndarray, " n"], edges: Sequence[int | float], open: bool = False, clip: bool = False
) -> Histogram:
    """Counts between edges. What lies beyond the ends counts into the last where `open`, into both ends
    where `clip`.
    """
    found = np.asarray(values, dtype=np.float64)
    spots = np.searchsorted(np.asarray(edges, dtype=np.float64), found, side="right") - 1
    if clip:
        spots = np.maximum(spots, 0)
    spots = np.minimum(spots, len(edges) - 2)
    counts = np.bincount(spots, minlength=len(edges) - 1)
    low, median, high = np.percentile(found, [5, 50, 95]).tolist() if len(found) else (0.0, 0.0, 0.0)
    return Histogram(tuple(map(float, edges)), tuple(counts.tolist()), open or clip, low, median, high)


def _lengths(values: Shaped[np.ndarray, " n"], most: int = 1 << 30) -> tuple[list[int], bool]:
    """Edges of even width, at most 30 of them, for all but the longest one in two hundred; and open."""
    reach = int(np.percentile(values, 99.5)) + 1 if len(values) else 1
    step = next(size for size in _widths() if size * 30 >= min(reach, most))
    return [step * number for number in range(min(reach, most) // step + 2)], True


def _widths() -> Iterable[int]:
    return (digit * 10**power for power in range(9) for digit in (1, 2, 5))


def _frequencies(hashes: Shaped[np.ndarray, " n"]) -> Int64[np.ndarray, " k"]:
    return np.unique(hashes, return_counts=True)[1].astype(np.int64)


def _first_of_each(numbers: Shaped[np.ndarray, " n"]) -> np.ndarray:
    """Where a pair's first caption stands."""
    return np.unique(numbers, return_index=True)[1]


def _commonest(rows: np.ndarray, pairs: Pairs) -> tuple[Common, ...]:
    _, first, counts = np.unique(rows["hash"], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))[:_COMMON]
    order = order[counts[order] > 1]
    found = []
    for place, count in zip(first[order].tolist(), counts[order].tolist(), strict=True):
        text = pairs.text(int(rows["number"][place])).captions[int(rows["which"][place])]
        found.append(Common(" ".join(text.split())[:300], count))
    return tuple(found)


def _ranked(counter: Mapping[str, int]) -> list[tuple[str, int]]:
    """The commonest first; of equals in the order of the alphabet."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _counted(names: Iterable[Any]) -> dict[str, int]:
    return dict(_ranked(Counter(names)))


def _kind_of(reason: str) -> str:
    """A reason without numbers and names that are one file's own, so that equal ones count together."""
    return re.sub(r"'[^']*'", "'\u2026'", re.sub(r"\d+", "#", reason))[:120]


def _stride(count: int) -> int:
    return max(1, -(-count // _DOTS))
