"""Which test pictures a run was trained on: asked of each set that is evaluated, and remembered."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from sightword.config import Config
from sightword.corpora.checking.across import Rows
from sightword.corpora.checking.contamination import copied
from sightword.corpora.checking.look_pairs import PairsJob, PairsLooking, pairs_jobs, readable
from sightword.corpora.checking.looking import Kept, Look, Looking, kept
from sightword.corpora.fingerprints import ROW, hash64, looks
from sightword.corpora.parallel import Tick, Watch, in_processes
from sightword.errors import BadSample, SightwordError
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.progress import watched
from sightword.pairs.base import Pairs
from sightword.pairs.files import cache_dir, write_whole
from sightword.training.data import own_pairs, sight_pairs
from sightword.views.decode import decode

MOST = 100_000  # training pictures that are looked at without being asked to: minutes, and then remembered
_FORMAT = 2  # of what is remembered; a new one where fingerprints or answers change
_FEW = 2_000  # training pictures for which no other process is worth its start
_SOME = 256  # test pictures between two looks at the bar


@dataclass
class Copies:
    """How many pictures of a set are in a run's training data, by their bytes or their looks.

    Nothing is opened before the first set is asked about. Fingerprints of the training data lie in the cache
    under the hash of the data, so all runs on it share them, and answers beside them.

    config: the run's.
    say: told in one line of what is found, or why nothing can be.
    most: training pictures that are looked at; where there are more, none are.
    processes: how many look; 0: one for each processor.
    """

    config: Config
    say: Callable[[str], None]
    most: int = MOST
    processes: int = 0
    _rows: Rows | None = field(default=None, init=False)
    _sources: list[Pairs] | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)
    _told: set[str] = field(default_factory=set, init=False)

    def __call__(self, test: LabelledSet) -> int | None:
        """How many; None where that cannot be known, which is said once."""
        if self._ended:
            return None
        try:
            found = self._answer(test)
        except (SightwordError, OSError, ValueError) as error:
            self._ended = True
            self.say(f"test pictures are not compared with the training pictures: {error}")
            return None
        if found and test.data_hash not in self._told:
            self._told.add(test.data_hash)
            share = 100 * found / len(test)
            self.say(
                f"{test.name}/{test.split}: {found:,} of {len(test):,} test pictures ({share:.1f} %) are in "
                "the training data, or look the same; scores on them may be too good"
            )
        return found

    def seen(self, prints: np.ndarray) -> Int64[np.ndarray, " k"]:
        """Which test pictures are in the training data, or look the same: places in `prints`, ascending.

        Args:
            prints: of the test pictures, as `prints_of` makes them.

        Raises:
            SightwordError: there are too many training pictures to look at.
        """
        same, near, _ = copied(self._training(), prints)
        return np.unique(np.concatenate([same, near])[:, 1])

    def _answer(self, test: LabelledSet) -> int:
        path = self._stem().with_suffix(".copies.json")
        known: dict[str, int] = json.loads(path.read_bytes()) if path.is_file() else {}
        if test.data_hash not in known:
            known[test.data_hash] = len(self.seen(prints_of(test)))
            write_whole(path, lambda file: file.write(json.dumps(known).encode()))
        return known[test.data_hash]

    def _opened(self) -> list[Pairs]:
        """What the run was trained on, the other pictures of `--sight-data` too."""
        if self._sources is None:
            sight = sight_pairs(self.config)
            self._sources = [own_pairs(self.config), *([sight] if sight else [])]
        return self._sources

    def _stem(self) -> Path:
        hashes = "-".join(pairs.data_hash for pairs in self._opened())
        return cache_dir() / "fingerprints" / f"{hashes}-{_FORMAT}"

    def _training(self) -> Rows:
        if self._rows is None:
            stem = Kept(self._stem())
            if not stem.stem.with_suffix(".rows.npy").is_file():
                self._look(stem)
            self._rows = Rows([stem])
        return self._rows

    def _look(self, stem: Kept) -> None:
        sources = tuple((str(place), pairs) for place, pairs in enumerate(self._opened()))
        total = sum(len(pairs) for _, pairs in sources)
        if total > self.most:
            raise SightwordError(
                f"there are {total:,}, more than the {self.most:,} that are looked at without being asked to"
            )
        stem.stem.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="looking-", dir=stem.stem.parent) as work:
            looking = Looking(Path(work), "", 1.0, captionless=True)
            jobs = list(pairs_jobs(sources, 0))
            count = self.processes if total > _FEW else 1
            watch = Watch("training pictures compared", total)
            for _ in in_processes(_print_some, PairsLooking(looking, sources), jobs, count, watch):
                pass
            rows = np.concatenate([kept(Path(work), job.number).rows() for job in jobs])
            write_whole(stem.stem.with_suffix(".rows.npy"), lambda file: np.save(file, rows))


def prints_of(test: LabelledSet) -> np.ndarray:
    """A `ROW` for each picture of a set, as `contamination` wants them: `key` is 1 where it is unreadable."""
    rows = np.zeros(len(test), dtype=ROW)
    what = f"fingerprints of {test.name}/{test.split}"
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in watched(range(0, len(test), _SOME), len(test), what, _SOME):
            some = range(start, min(start + _SOME, len(test)))
            rows[some.start : some.stop] = np.concatenate(list(threads.map(partial(_print, test), some)))
    return rows


def _print(test: LabelledSet, i: int) -> np.ndarray:
    row = np.zeros(1, dtype=ROW)
    try:
        found = test.read(i)
        if isinstance(found, bytes):
            row["file"], found = hash64(found), decode(found, test.keys[i])
        row["coarse"], row["fine"], row["colours"], row["looks"] = looks(found)
    except (BadSample, OSError):
        row["key"] = 1
    return row


def _print_some(context: PairsLooking, job: PairsJob, tick: Tick) -> None:
    with Look(context.looking, job.number, context.sources[job.source][0]) as look:
        for sample in readable(context, job, look, tick):
            look.picture(sample.key, sample.image)
