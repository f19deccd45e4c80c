"""`sightword data stats`: what a corpus looks like, on one page with pictures, before a run is paid for."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

import sightword
from sightword.corpora.parallel import Watch, in_processes
from sightword.corpora.stats import captions as stats_captions
from sightword.corpora.stats import pictures as stats_pictures
from sightword.corpora.stats import tell as stats_tell
from sightword.corpora.stats.page import render
from sightword.corpora.stats.pictures import Seen
from sightword.corpora.stats.record import About, Stats
from sightword.corpora.stats.sample import sample
from sightword.corpora.stats.says import says
from sightword.corpora.stats.sheet import choose, thumbnails
from sightword.corpora.stats.shrink import shrink
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.files import write_whole
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs

_FEW_CAPTIONS, _FEW_PICTURES = 20, 10  # jobs that are done sooner than processes start


@dataclass(frozen=True)
class StatsOptions:
    """What to look at.

    Args:
        split: only samples whose field `split` says so.
        pictures: how many are decoded, drawn at random; 0: all.
        captions: of how many pairs the captions are read, drawn at random; 0: all.
        size: pixels of a training crop's side, which the pictures' sizes are compared with.
        seed: another one draws others.
        workers: processes; 0: one for each processor. Never changes what is found.
    """

    split: str = ""
    pictures: int = 10_000
    captions: int = 1_000_000
    size: int = 224
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        if self.pictures < 0 or self.captions < 0:
            raise SightwordError(
                f"--pictures and --captions are counts, 0 for all; found {self.pictures} and {self.captions}"
            )
        if self.size < 1:
            raise SightwordError(f"--size is a number of pixels, found {self.size}")


def stats(
    source: str,
    out: Path,
    options: StatsOptions = StatsOptions(),
    reading: Reading = Reading(),  # noqa: B008  frozen
) -> Stats:
    """Look at a corpus, and write one HTML page and a JSON record of the same numbers beside it.

    Args:
        source: whatever `open_pairs` opens.
        out: the page, `....html`; the record has the same name and ends in `.json`.
        options: what to look at.
        reading: how to read; `captionless`: pictures without captions as well.

    Raises:
        SightwordError: the source cannot be opened, or `out` cannot be written.
    """
    started = time.monotonic()
    if out.suffix.lower() not in (".html", ".htm"):
        raise SightwordError(f"--out is the page to write and ends in .html, found '{out}'")
    pairs = open_pairs(source, options.split, reading)
    draw = partial(sample, pairs.counts, pairs.remote_bytes, seed=options.seed)
    read = stats_captions.gathered(_captions(pairs, draw(options.captions), options.workers))
    seen = _pictures(pairs, draw(options.pictures), options.workers)
    repeats = stats_tell.repeats(seen.rows)
    about = _about(pairs, source, options)
    pictures = stats_tell.pictures(seen, len(pairs), options.size)
    smaller = shrink(pairs, seen.rows, options.size, options.seed, options.workers)
    captions = stats_tell.captions(read, pairs)
    found = Stats(
        about=about,
        seed=options.seed,
        pictures=pictures,
        shrink=smaller,
        repeats=repeats,
        captions=captions,
        shown=choose(pairs, seen, read, repeats, options.seed),
        says=says(about, pictures, smaller, repeats, captions),
        seconds=time.monotonic() - started,
        version=sightword.__version__,
        page=str(out),
    )
    _write(found, pairs, out)
    return found


def _captions(pairs: Pairs, numbers: Int64[np.ndarray, " n"], workers: int) -> list[stats_captions.Read]:
    """Here where they are few: the tokenizer would take a process longer to load than to use."""
    jobs = _cut(numbers, stats_captions.AT_ONCE)
    watch = Watch("reading captions", len(numbers))
    count = workers if len(jobs) > _FEW_CAPTIONS else 1
    return list(in_processes(stats_captions.read_captions, pairs, jobs, count, watch))


def _pictures(pairs: Pairs, numbers: Int64[np.ndarray, " n"], workers: int) -> Seen:
    """All of them in the order of their numbers, whichever process was first."""
    jobs = _cut(numbers, stats_pictures.AT_ONCE)
    watch = Watch("looking at pictures", len(numbers))
    count = workers if len(jobs) > _FEW_PICTURES else 1
    parts = list(in_processes(stats_pictures.see, pairs, jobs, count, watch))
    rows = np.concatenate([part.rows for part in parts])
    bad = sorted((bad for part in parts for bad in part.unreadable), key=lambda bad: bad.number)
    return Seen(rows[np.argsort(rows["number"], kind="stable")], bad)


def _cut(numbers: Int64[np.ndarray, " n"], size: int) -> Sequence[Int64[np.ndarray, " m"]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _about(pairs: Pairs, source: str, options: StatsOptions) -> About:
    left_out = dataclasses.asdict(pairs.report)
    del left_out["samples"]
    return About(
        source=source,
        split=options.split,
        pairs=len(pairs),
        blocks=len(pairs.counts),
        smallest_block=min(pairs.counts),
        largest_block=max(pairs.counts),
        data_hash=pairs.data_hash,
        left_out={reason: count for reason, count in left_out.items() if count},
        notes=pairs.notes,
        remote=any(pairs.remote_bytes),
    )


def _write(found: Stats, pairs: Pairs, out: Path) -> None:
    record = json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False)
    page = render(found, thumbnails(pairs, found.shown))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, text in ((out.with_suffix(".json"), record), (out, page)):
            content = text.encode(errors="backslashreplace")
            write_whole(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
    except OSError as error:
        raise SightwordError(f"cannot write '{out}' ({error.strerror}); give another --out") from error
