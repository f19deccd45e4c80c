"""Floor 3. Samples read from tars at random, by any thread and any worker process."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int64

from sightword.errors import BadSample
from sightword.pairs.index import decode_caption, index_of
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tar import Tar

OPEN = 64  # shards kept open in a process: above any sensible shuffling window, below the limit on open files


@final
class Shard:
    """One open tar and its index. Opening builds the index where there is none."""

    def __init__(self, path: Path) -> None:
        self.tar = Tar(path)
        self.index = index_of(self.tar)
        self._rows: dict[str, Int64[np.ndarray, " n"]] = {}

    def rows(self, split: str) -> Int64[np.ndarray, " n"]:
        """`Index.rows`, remembered."""
        if split not in self._rows:
            self._rows[split] = self.index.rows(split)
        return self._rows[split]

    def sample(self, row: int) -> Sample:
        """A pair.

        Raises:
            BadSample: the disk failed to give it.
            SightwordError: the tar was cut short after it was opened.
        """
        text = self.text(row)
        return Sample(text.key, text.captions, text.fields, self._bytes(row, 0))

    def text(self, row: int) -> Text:
        """A pair's writing alone; errors as `sample`."""
        key = self.index.keys[row]
        fields: dict[str, Any] = json.loads(self._bytes(row, 2) or b"{}")
        caption = decode_caption(self._bytes(row, 1), f"{self.tar.path}: {key}.txt").strip()
        return Text(key, _all_captions(caption, fields.get("captions")), fields)

    def _bytes(self, row: int, slot: int) -> bytes:
        offset, size = self.index.spans[row, 2 * slot : 2 * slot + 2].tolist()
        try:
            return self.tar.read(offset, size) if size else b""
        except OSError as error:
            raise BadSample(self.index.keys[row], f"cannot be read: {error.strerror}") from error


def _all_captions(first: str, listed: object) -> tuple[str, ...]:
    """The `.txt`, then the json's `captions`, which may begin with the same one."""
    entries = listed if isinstance(listed, list) else []
    others = [entry.strip() for entry in entries if isinstance(entry, str) and entry.strip()]
    return tuple(others) if others[:1] == [first] else (first, *others)


@final
class Shards:
    """The shards in use, opened when first needed. Pickled without them: each process opens its own.

    A shard pushed out is closed when its last reader lets go of it, so threads need no care.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, number: int) -> Shard:
        with self._lock:
            shard = self._open.get(number) or Shard(self.paths[number])
            self._open[number] = shard
            self._open.move_to_end(number)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        return shard

    def __len__(self) -> int:
        return len(self.paths)

    def __reduce__(self) -> tuple[type[Shards], tuple[tuple[Path, ...]]]:
        return Shards, (self.paths,)
