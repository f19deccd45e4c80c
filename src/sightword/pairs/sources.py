"""Image-text pairs, wherever they lie: which room opens what a user names."""

from __future__ import annotations

from collections.abc import Callable

from sightword.pairs.base import Pairs
from sightword.pairs.joined import JoinedPairs
from sightword.pairs.layouts import opening as layouts
from sightword.pairs.lists import folders, hugging_face, parquet, tables
from sightword.pairs.reading import Reading
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.stores import is_address
from sightword.pairs.tars.places import tars
from sightword.pairs.tars.tar_pairs import TarPairs

OpenHere = Callable[[str, str, Reading], Pairs | None]  # None: this is not of its kind
_ROOMS: tuple[OpenHere, ...] = (
    tables.open_here,
    hugging_face.open_here,
    parquet.open_here,
    folders.open_here,
    layouts.open_here,
)  # asked in this order


def open_pairs(path: str, split: str = "", reading: Reading = Reading()) -> Pairs:  # noqa: B008  frozen
    """Open pairs for reading.

    Args:
        path: `demo`, a webdataset tar, shards (`cc/{00000..01100}.tar`, `cc/*.tar`), a folder of tars,
            addresses of these (`https://host/{00000..01100}.tar`, `s3://bucket/cc/*.tar`, `hf://...`); a
            .csv, .tsv, .jsonl or .parquet, a pattern of them, or a folder of Parquet; a folder of pictures
            with captions beside them; what Hugging Face's `save_to_disk` wrote; several joined by
            `::`.
        split: keep only samples whose field `split` says so; all when empty. Where names of files or folders
            tell of splits they decide, and unasked `train` is read.
        reading: names of columns, and limits.

    Raises:
        SightwordError: nothing is there or can be fetched, a file is damaged or compressed, a column is
            missing, a caption is not UTF-8, no sample is left, or the split is unknown.
    """
    sources = [_open_part(part.strip(), split, reading) for part in path.split("::")]
    return sources[0] if len(sources) == 1 else JoinedPairs(sources)


def _open_part(part: str, split: str, reading: Reading) -> Pairs:
    """The first room that knows what this is opens it; tars, the commonest, also say what is wrong."""
    # The embedded pairs, whatever folder is called so; and nothing is not the folder that one stands in.
    for open_here in _ROOMS if part not in ("", "demo") else ():
        pairs = open_here(part, split, reading)
        if pairs is not None:
            return pairs
    cache = ShardCache(reading.shard_cache_gib, reading.patience) if is_address(part) else None
    places = tars(part, cache)
    return TarPairs(places, part, split, cache, reading.captionless, reading.max_bad)
