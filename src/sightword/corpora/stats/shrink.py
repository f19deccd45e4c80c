"""What packing smaller would bring, tried out on pictures of the corpus itself."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from sightword.corpora.packing.encoding import Encoding, encoded
from sightword.corpora.parallel import Tick, Watch, in_processes
from sightword.corpora.stats.record import Share, Shrink
from sightword.corpora.stats.sample import distinct
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.views.decode import decode

TRIED = 64  # pictures
_AT_ONCE = 8
_LONG = 8.0  # seconds, above which it is worth starting processes
_ROOM = 8 / 7  # stored shorter side over training size: 256 for 224, as is usual for random crops
_REPEATS = 3  # decodings that are timed; the fastest counts


@dataclass(frozen=True)
class _Trial:
    """What every process needs."""

    pairs: Pairs
    encoding: Encoding


def packed_size(train_size: int) -> int:
    """The shorter side to pack for training at a size."""
    return round(train_size * _ROOM)


def shrink(pairs: Pairs, rows: np.ndarray, train_size: int, seed: int, processes: int) -> Shrink | None:
    """Estimate what `data pack --resize` saves; None where no picture of the sample is large enough.

    Args:
        pairs: the corpus.
        rows: `PICTURE`s of the sample.
        train_size: pixels of a training crop's side.
        seed: decides which are tried.
        processes: how many.
    """
    resize = packed_size(train_size)
    large = np.minimum(rows["width"], rows["height"]) > resize
    if not large.any():
        return None
    chosen = rows["number"][large][distinct(int(large.sum()), min(TRIED, int(large.sum())), seed)]
    jobs = [chosen[i : i + _AT_ONCE] for i in range(0, len(chosen), _AT_ONCE)]
    watch = Watch("trying smaller pictures", len(chosen))
    context = _Trial(pairs, Encoding(resize=resize, only_large=True))
    seconds = float(rows["seconds"][large].mean()) * len(chosen) * (_REPEATS + 2)
    parts = list(in_processes(_try, context, jobs, processes if seconds > _LONG else 1, watch))
    tried = np.concatenate(parts)
    return _told(len(pairs), rows, large, resize, tried) if len(tried) else None


def _try(trial: _Trial, numbers: Int64[np.ndarray, " n"], tick: Tick) -> Float64[np.ndarray, "m 4"]:
    """Bytes and seconds, before and after, of each that could be made smaller."""
    found = list[tuple[float, float, float, float]]()
    for number in numbers.tolist():
        try:
            sample = trial.pairs[number]
            made = encoded(sample.image, sample.key, trial.encoding, verify=False)
            seconds = _seconds(sample.image, sample.key), _seconds(made, sample.key)
            found.append((float(len(sample.image)), float(len(made)), *seconds))
        except (
            BadSample,
            SightwordError,
            OSError,
        ):  # it was readable a moment ago: not counted among the tried
            pass
        tick(1)
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def _seconds(data: bytes, key: str) -> float:
    times = []
    for _ in range(_REPEATS):
        before = time.thread_time()
        decode(data, key)
        times.append(time.thread_time() - before)
    return min(times)


def _told(
    total: int, rows: np.ndarray, large: np.ndarray, resize: int, tried: Float64[np.ndarray, "m 4"]
) -> Shrink:
    """From the tried to all: each large picture shrinks as the tried do on the whole."""
    bytes_before, bytes_after, seconds_before, seconds_after = tried.sum(axis=0).tolist()
    scale = total / len(rows)
    kept, changed = float(rows["bytes"][~large].sum()), float(rows["bytes"][large].sum())
    slow, slow_large = float(rows["seconds"][~large].sum()), float(rows["seconds"][large].sum())
    then = slow + slow_large * seconds_after / max(seconds_before, 1e-9)
    return Shrink(
        resize=resize,
        would_change=Share.make(int(large.sum()), len(rows)),
        tried=len(tried),
        bytes_before=int(bytes_before),
        bytes_after=int(bytes_after),
        seconds_before=seconds_before,
        seconds_after=seconds_after,
        bytes_now=scale * (kept + changed),
        bytes_then=scale * (kept + changed * bytes_after / bytes_before),
        decode_speedup=(slow + slow_large) / max(then, 1e-9),
    )
