"""Pictures of a corpus that are tested on: found by their bytes, and by what they look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from sightword.corpora.checking.across import Rows
from sightword.corpora.checking.findings import Findings, Kind
from sightword.corpora.fingerprints import ROW, agree, hash64, looks
from sightword.corpora.near import near_pairs
from sightword.corpora.parallel import Tick, Watch, in_processes
from sightword.errors import BadSample, SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.pairs.sources import open_pairs
from sightword.views.decode import decode

_AT_ONCE = 500  # pictures of a job


@dataclass(frozen=True)
class Contaminated:
    """How much of a test set the corpus holds."""

    against: str
    split: str
    pictures: int  # in the test set
    unreadable: int  # of these
    blank: int  # of these: no perceptual hash can tell them apart
    seen: int  # of these: whose bytes, or whose looks, a picture of the corpus has
    seen_share: float
    training_pictures: int  # that are such copies: each is listed
    uncompared: int  # pictures, of either side, with so many neighbours that not all of them were compared

    def line(self) -> str:
        """In one line."""
        split = f" ({self.split})" if self.split else ""
        return (
            f"{self.against}{split}: {self.seen:,} of {self.pictures:,} test pictures "
            f"({self.seen_share:.2%}) are in the corpus, as {self.training_pictures:,} training pictures"
        )


@dataclass(frozen=True)
class Benchmarked:
    """Pictures that are tested on."""

    name: str
    split: str
    keys: Sequence[str]
    read: Callable[[int], bytes]


@lru_cache(maxsize=8)
def benchmarked(where: str) -> tuple[Benchmarked, ...]:
    """What evaluation would test on there, else all pairs that lie there.

    Raises:
        SightwordError: it is neither.
    """
    try:
        tests = open_benchmark(where).tests
        return tuple(Benchmarked(where, test.split, test.keys, test.file) for test in tests)
    except SightwordError as not_labelled:
        try:
            pairs = open_pairs(where)
        except SightwordError as error:
            raise SightwordError(
                f"--against '{where}' is nothing to compare with: as a test set, {not_labelled}; "
                f"as pairs, {error}"
            ) from error
    return (Benchmarked(where, "", pairs.keys, lambda i: pairs[i].image),)


def contaminated(rows: Rows, where: str, processes: int, findings: Findings) -> list[Contaminated]:
    """Compare a corpus with each test set at a place, and list the copies."""
    return [
        _compare(rows, test, _prints(where, number, processes), findings) for number, test in _numbered(where)
    ]


def _numbered(where: str) -> list[tuple[int, Benchmarked]]:
    return list(enumerate(benchmarked(where)))


def _prints(where: str, number: int, processes: int) -> np.ndarray:
    """A `ROW` for each picture of a test set; its `key` is not hashed: 1 where it is unreadable, else 0."""
    total = len(benchmarked(where)[number].keys)
    jobs = [(number, start, min(start + _AT_ONCE, total)) for start in range(0, total, _AT_ONCE)]
    found = np.zeros(total, dtype=ROW)
    watch = Watch(f"pictures of {where}", total)
    for start, rows in in_processes(_print_some, where, jobs, processes if len(jobs) > 1 else 1, watch):
        found[start : start + len(rows)] = rows
    return found


def _print_some(where: str, job: tuple[int, int, int], tick: Tick) -> tuple[int, np.ndarray]:
    number, start, stop = job
    test = benchmarked(where)[number]
    rows = np.zeros(stop - start, dtype=ROW)
    for place, row in enumerate(rows):
        try:
            data = test.read(start + place)
            row["file"] = hash64(data)
            row["coarse"], row["fine"], row["colours"], row["looks"] = looks(decode(data, ""))
        except (BadSample, OSError):
            row["key"] = 1
        tick(1)
    return start, rows


def _compare(rows: Rows, test: Benchmarked, prints: np.ndarray, findings: Findings) -> Contaminated:
    same, near, uncompared = copied(rows, prints)
    alike = near[~np.isin(near[:, 0], same[:, 0])]  # each picture of the corpus is listed once
    for pairs, reason in ((same, "the same bytes as"), (alike, "looks like")):
        for mine, theirs in _firsts(pairs).tolist():
            shard, key = rows.name(mine)
            split = f" ({test.split})" if test.split else ""
            findings.add(
                Kind.IN_TEST_SET, shard, key, f"{reason} '{test.keys[theirs]}' of '{test.name}'{split}"
            )
    both = np.concatenate([same, near])
    seen = len(np.unique(both[:, 1]))
    readable = prints["key"] == 0
    return Contaminated(
        against=test.name,
        split=test.split,
        pictures=len(prints),
        unreadable=int((~readable).sum()),
        blank=int((readable & ~prints["looks"]).sum()),
        seen=seen,
        seen_share=seen / max(1, len(prints)),
        training_pictures=len(np.unique(both[:, 0])),
        uncompared=uncompared,
    )


def copied(rows: Rows, prints: np.ndarray) -> tuple[Int64[np.ndarray, "m 2"], Int64[np.ndarray, "k 2"], int]:
    """Which pictures of a corpus are which test pictures.

    Args:
        rows: of the corpus.
        prints: a `ROW` for each test picture; where it was not read, without `file` and `looks`.

    Returns:
        pairs of the same bytes, pairs that look alike (the former among them, unless they are blank), and
        how many pictures had too many neighbours for all of them to be compared.
    """
    same = _same_files(rows.column("file"), prints["file"])
    near, uncompared = _near(rows, prints)
    return same, near, uncompared


def _firsts(pairs: Int64[np.ndarray, "m 2"]) -> Int64[np.ndarray, "k 2"]:
    """One pair for each picture of the corpus."""
    _, first = np.unique(pairs[:, 0], return_index=True)
    return pairs[first]


def _same_files(mine: np.ndarray, theirs: np.ndarray) -> Int64[np.ndarray, "m 2"]:
    """Pairs of equal hashes: every test picture with every training picture."""
    order = np.argsort(mine, kind="stable")
    starts = np.searchsorted(mine[order], theirs, side="left")
    counts = np.searchsorted(mine[order], theirs, side="right") - starts
    counts[theirs == 0] = 0  # never read
    tests = np.repeat(np.arange(len(theirs)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([order[np.repeat(starts, counts) + within], tests], axis=1).astype(np.int64)


def _near(rows: Rows, prints: np.ndarray) -> tuple[Int64[np.ndarray, "m 2"], int]:
    """Pairs of a training picture and a test picture that look alike."""
    mine = np.flatnonzero(rows.column("looks")).astype(np.int64)
    theirs = np.flatnonzero(prints["looks"]).astype(np.int64)
    hashes = np.concatenate([rows.column("coarse")[mine], prints["coarse"][theirs]])
    pairs, uncompared = near_pairs(hashes)
    across = pairs[(pairs[:, 0] < len(mine)) & (pairs[:, 1] >= len(mine))]
    found = np.stack([mine[across[:, 0]], theirs[across[:, 1] - len(mine)]], axis=1)
    kept = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, len(found), 100_000):
        part = found[start : start + 100_000]
        numbered = np.stack([np.arange(len(part)), part[:, 1]], axis=1)
        kept.append(part[agree(rows.take(part[:, 0]), numbered, prints)])
    return np.concatenate(kept), uncompared
