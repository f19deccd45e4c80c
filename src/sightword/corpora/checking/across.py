"""What only all jobs together show: keys, captions and pictures that come again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from jaxtyping import Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sightword.corpora.checking.findings import Findings, Kind
from sightword.corpora.checking.looking import Kept
from sightword.corpora.fingerprints import ROW, agree
from sightword.corpora.near import near_pairs
from sightword.corpora.packing.keys import later_twins


@dataclass(frozen=True)
class Repeated:
    """How much of a corpus comes again, as shares of what was looked at."""

    same_pictures: int  # that a file of the same bytes comes before
    near_copies: int  # that only look like an earlier picture
    near_share: float  # of the pictures: of the same bytes or near copies of another, whichever comes first
    blank: int  # pictures that no perceptual hash can tell apart: left out of the search
    uncompared: int  # pictures with so many neighbours that not all of them were compared
    repeated_captions: float  # share of captions that occur more than once
    same_keys: int


class Rows:
    """The rows of all jobs, one field at a time; names are read from disk when asked for."""

    def __init__(self, jobs: Sequence[Kept]) -> None:
        self.jobs = jobs
        self._ends = list(accumulate(len(job.rows()) for job in jobs))
        self._names = lru_cache(maxsize=64)(lambda job: self.jobs[job].keys())

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def column(self, name: str) -> np.ndarray:
        """One field of every row."""
        parts = [np.asarray(job.rows()[name]) for job in self.jobs]
        found: np.ndarray = np.concatenate(parts) if parts else np.zeros(0, dtype=ROW[name])
        return found

    def take(self, numbers: Int64[np.ndarray, " n"]) -> np.ndarray:
        """Whole rows, from disk."""
        found = np.zeros(len(numbers), dtype=ROW)
        jobs = np.searchsorted(np.array(self._ends), numbers, side="right")
        for job in np.unique(jobs).tolist():
            rows, mine = self.jobs[job].rows(), np.flatnonzero(jobs == job)
            found[mine] = rows[numbers[mine] - (self._ends[job] - len(rows))]
        return found

    def name(self, number: int) -> tuple[str, str]:
        """Shard and key of a row."""
        job = bisect_right(self._ends, number)
        before = self._ends[job - 1] if job else 0
        shard, key = self._names(job)[number - before]
        return shard, key


def repeated(rows: Rows, findings: Findings) -> Repeated:
    """Find what comes again, and list it."""
    same_keys = _tell(rows, findings, Kind.SAME_KEY, _firsts(rows.column("key")), "the same key as {}")
    files = _firsts(rows.column("file"))
    same = _tell(rows, findings, Kind.SAME_PICTURE, files, "the same bytes as {}")
    looks = np.flatnonzero(rows.column("looks")).astype(np.int64)
    again = np.fromiter((later for later, _ in files), dtype=np.int64, count=len(files))
    alone = np.setdiff1d(looks, again)  # of equal files one is enough
    pairs, uncompared = near_pairs(rows.column("coarse")[alone])
    pairs = alone[pairs]
    kept = _agreeing(rows, pairs)
    copies = _tell(rows, findings, Kind.NEAR_COPY, _clustered(kept), "looks like {}")
    captions = _captions(rows.jobs)
    return Repeated(
        same_pictures=same,
        near_copies=copies,
        near_share=(same + copies) / max(1, len(rows)),
        blank=findings.counts.get(Kind.BLANK, 0),
        uncompared=uncompared,
        repeated_captions=captions,
        same_keys=same_keys,
    )


def _tell(rows: Rows, findings: Findings, kind: Kind, later: Sequence[tuple[int, int]], reason: str) -> int:
    for number, first in later:
        shard, key = rows.name(number)
        other_shard, other = rows.name(first)
        findings.add(kind, shard, key, reason.format(f"'{other}' in '{other_shard}'"))
    return len(later)


def _firsts(values: np.ndarray) -> list[tuple[int, int]]:
    """Places whose value came before, and where it came first."""
    later = later_twins(values)
    _, index, inverse = np.unique(values, return_index=True, return_inverse=True)
    return list(zip(later.tolist(), index[inverse[later]].tolist(), strict=True))


def _agreeing(rows: Rows, pairs: Int64[np.ndarray, "m 2"]) -> Int64[np.ndarray, "k 2"]:
    """Those pairs that the finer hashes do not tell apart."""
    parts = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, len(pairs), 100_000):
        part = pairs[start : start + 100_000]
        both = np.arange(len(part), dtype=np.int64).repeat(2).reshape(-1, 2)
        parts.append(part[agree(rows.take(part[:, 0]), both, rows.take(part[:, 1]))])
    return np.concatenate(parts)


def _clustered(pairs: Int64[np.ndarray, "m 2"]) -> list[tuple[int, int]]:
    """From pairs to clusters: each later member, and the first one of its cluster."""
    members = np.unique(pairs)
    if not len(members):
        return []
    ends = np.searchsorted(members, pairs)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(members), len(members)))
    _, clusters = connected_components(graph, directed=False)
    _, first = np.unique(clusters, return_index=True)
    firsts = members[first[clusters]]
    return [
        (later, head) for later, head in zip(members.tolist(), firsts.tolist(), strict=True) if later != head
    ]


def _captions(jobs: Sequence[Kept]) -> float:
    """The share of captions that occur more than once."""
    hashes = np.concatenate([job.captions() for job in jobs]) if jobs else np.zeros(0, dtype=np.uint64)
    _, counts = np.unique(hashes, return_counts=True)
    return float(counts[counts > 1].sum() / max(1, len(hashes)))
