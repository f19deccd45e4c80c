"""Samples read from tars at random, by any thread and any worker process."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
from jaxtyping import Int64, UInt8

from sightword.errors import BadSample, SightwordError
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.indices import examine, index_of_remote
from sightword.pairs.remote.prefetch import Prefetcher
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import Index
from sightword.pairs.tars.index import index_of
from sightword.pairs.tars.tar import Tar
from sightword.pairs.tars.walk import decode_caption

Place: TypeAlias = str | Remote  # of one shard

OPEN = 64  # shards kept open in a process: above any sensible shuffling window, below the limit on open files
_DOORS = 16  # shards that threads of one process may open at once
_IDLE = 1000  # samples read since a removed shard was asked for, after which its disk is given back


@final
class Shard:
    """One open tar and its index."""

    def __init__(self, tar: Tar, index: Index, captionless: bool = False) -> None:
        self.tar, self.index, self.captionless = tar, index, captionless
        self.used = 0  # when it was last asked for, as its holder counts
        self._rows: dict[str, Int64[np.ndarray, " n"]] = {}

    def rows(self, split: str) -> Int64[np.ndarray, " n"]:
        """`Index.rows`, remembered."""
        if split not in self._rows:
            self._rows[split] = self.index.rows(split, self.captionless)
        return self._rows[split]

    def sample(self, row: int) -> Sample:
        """A pair.

        Raises:
            BadSample: the disk failed to give it, or its words are no longer what they were.
            SightwordError: the tar was cut short after it was opened.
        """
        text = self.text(row)
        return Sample(text.key, text.captions, text.fields, self._bytes(row, 0))

    def text(self, row: int) -> Text:
        """A pair's writing alone; errors as `sample`."""
        key = self.index.keys[row]
        words, described = self._bytes(row, 1), self._bytes(row, 2)
        try:
            fields: dict[str, Any] = json.loads(described or b"{}")
            caption = decode_caption(words, f"{key}.txt").strip()
            return Text(key, _all_captions(caption, fields.pop("captions", None)), fields)
        except (ValueError, AttributeError, RecursionError, SightwordError) as error:
            # The index found them good: these bytes have changed since, under the tar's old time and size.
            raise BadSample(key, f"its words have changed since the tar was indexed: {error}") from error

    def _bytes(self, row: int, slot: int) -> bytes:
        offset, size = self.index.spans[row, 2 * slot : 2 * slot + 2].tolist()
        try:
            return self.tar.read(offset, size) if size else b""
        except OSError as error:
            raise BadSample(self.index.keys[row], f"cannot be read: {error.strerror}") from error


def _all_captions(first: str, listed: object) -> tuple[str, ...]:
    """The `.txt`, then the json's `captions`, which may begin with the same one."""
    entries = listed if isinstance(listed, list) else []
    texts = (entry.encode(errors="replace").decode().strip() for entry in entries if isinstance(entry, str))
    others = [text for text in texts if text]  # JSON can spell half characters, which no tokenizer takes
    return tuple(others) if not first or others[:1] == [first] else (first, *others)


@final
class Shards:
    """The shards in use, opened when first needed. Pickled without them: each process opens its own.

    A shard pushed out is closed when its last reader lets go of it, so threads need no care.

    Args:
        places: of the tars, in order.
        cache: for those that lie elsewhere; None when none does.
        digests: what each of them must hold (`Index.digest`); None: whatever it holds.
        captionless: whether pictures without captions are wanted as well, and in the digests.
    """

    def __init__(
        self,
        places: tuple[Place, ...],
        cache: ShardCache | None = None,
        digests: UInt8[np.ndarray, "n 16"] | None = None,
        captionless: bool = False,
    ) -> None:
        self.places, self.cache = places, cache
        self.digests, self.captionless = digests, captionless
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._lock = threading.Lock()
        self._opening = tuple(threading.Lock() for _ in range(_DOORS))
        self._count = 0
        self._prefetcher: Prefetcher | None = None

    def __getitem__(self, number: int) -> Shard:
        shard = self._found(number)
        if shard is not None:
            return shard
        with self._opening[number % _DOORS]:  # others read on while this one is fetched
            shard = self._found(number)
            if shard is None:
                shard = self._opened(self.places[number])
                self._check(number, shard)
                self._keep(number, shard)
        return shard

    def __len__(self) -> int:
        return len(self.places)

    def name(self, number: int) -> str:
        """Path or address of a shard."""
        place = self.places[number]
        return place if isinstance(place, str) else place.address

    def index(self, number: int) -> Index:
        """What lies where in a shard; one that lies elsewhere is not opened for it once it is known.

        Raises:
            SightwordError: it cannot be read, or is damaged.
        """
        place = self.places[number]
        return self[number].index if isinstance(place, str) else index_of_remote(place, self._cache)

    def examine(self) -> None:
        """Have the index of every remote shard, many at once; errors as `index`."""
        remotes = [place for place in self.places if isinstance(place, Remote)]
        if remotes:
            examine(remotes, self._cache)

    def prefetch(self, numbers: Sequence[int]) -> None:
        """Fetch these in the background, the first one first; in place of what was asked for before."""
        places = (self.places[number] for number in numbers)
        remotes = [place for place in places if isinstance(place, Remote)]
        if remotes:
            self._prefetcher = self._prefetcher or Prefetcher(self._cache)
            self._prefetcher.want(remotes)

    @property
    def _cache(self) -> ShardCache:
        assert self.cache is not None, "remote shards need a cache"
        return self.cache

    def _found(self, number: int) -> Shard | None:
        with self._lock:
            shard = self._open.get(number)
            if shard is not None:
                self._open.move_to_end(number)
                self._count += 1
                shard.used = self._count
        return shard

    def _opened(self, place: Place) -> Shard:
        if isinstance(place, str):
            tar = Tar(Path(place))
            return Shard(tar, index_of(tar), self.captionless)
        # The index first: where it is not known, finding it fetches the shard, which is then at hand.
        index = index_of_remote(place, self._cache)
        return Shard(self._cache.open(place), index, self.captionless)

    def _check(self, number: int, shard: Shard) -> None:
        """Whether a shard holds what it did when the data set was opened, or its corpus index was written."""
        if self.digests is None:
            return
        found = shard.index.whole if self.captionless else shard.index.digest
        if found != self.digests[number].tobytes().hex():
            raise SightwordError(
                f"'{shard.tar.name}' has changed since its data set was indexed or opened; bring the old "
                "shard back, or run sightword data index on its folder and start a new run"
            )

    def _keep(self, number: int, shard: Shard) -> None:
        with self._lock:
            shard.used = self._count
            self._open[number] = shard
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
            if self.cache is not None:
                idle = self._count - _IDLE
                for old in [n for n, other in self._open.items() if other.used < idle and other.tar.removed]:
                    del self._open[old]

    def __reduce__(self) -> tuple[type[Shards], tuple[Any, ...]]:
        return Shards, (self.places, self.cache, self.digests, self.captionless)
