"""What a run trains on, opened as its configuration says; what a user should know of it."""

from __future__ import annotations

from collections.abc import Iterator

from sightword.config import Config, DataConfig
from sightword.pairs.base import Pairs
from sightword.pairs.reading import Reading
from sightword.pairs.remote.ahead import cache_note
from sightword.pairs.sources import open_pairs
from sightword.training.setup import reads_captions


def own_pairs(config: Config) -> Pairs:
    """What a run trains on; pictures without captions as well where no term reads captions.

    Raises:
        SightwordError: as `open_pairs`.
    """
    data = config.data
    reading = reading_of(data, captionless=not reads_captions(config))
    return open_pairs(data.path, data.split or _own_split(data.path), reading)


def sight_pairs(config: Config) -> Pairs | None:
    """The other pictures for terms that read no captions, where there are some; errors as `own_pairs`."""
    data = config.data
    if not data.sight:
        return None
    return open_pairs(data.sight, _own_split(data.sight), reading_of(data, captionless=True))


def _own_split(path: str) -> str:
    """Data that comes with a held-out part is trained on without it."""
    return "train" if path == "demo" else ""


def reading_of(data: DataConfig, captionless: bool) -> Reading:
    """How a run's pairs are to be read."""
    return Reading(
        image_key=data.image_key,
        caption_key=data.caption_key,
        separator=data.separator,
        image_root=data.image_root,
        captionless=captionless,
        max_bad=data.max_bad,
        shard_cache_gib=data.shard_cache_gib,
    )


def notes_of(data: DataConfig, pairs: Pairs, sight: Pairs | None) -> Iterator[str]:
    """What was assumed of the data, and what lies beside the pairs and is not trained on."""
    for place, source in ((data.path, pairs), (data.sight, sight)):
        if source is None:
            continue
        yield from source.notes
        room, left_out = cache_note(source, data.window, data.shard_cache_gib), source.report.left_out()
        if room:
            yield room
        if left_out:
            yield f"left out of {place}: {left_out}; sightword data check names each"
