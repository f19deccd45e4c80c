"""What a run trains on, opened as its configuration says; what a user should know of it."""

from __future__ import annotations

from collections.abc import Iterator

from sightword.config import Config, DataConfig
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.parts import part_of
from sightword.pairs.reading import Reading
from sightword.pairs.remote.ahead import cache_note
from sightword.pairs.sources import open_pairs
from sightword.training.setup import reads_captions


def own_pairs(config: Config) -> Pairs:
    """What a run trains on; pictures without captions as well where no term reads captions.

    Raises:
        SightwordError: as `open_pairs` and `part_of`.
    """
    data = config.data
    return part_of(all_pairs(config), data.held_out, data.samples, config.seed)


def all_pairs(config: Config) -> Pairs:
    """What a run's own pairs are a part of; errors as `open_pairs`.

    Where parts are taken, pictures without captions are left out for every objective: runs of all objectives
    have the same parts, and what one holds out no other sees.
    """
    data = config.data
    captionless = not _takes_parts(data) and not reads_captions(config)
    return open_pairs(data.path, data.split or _own_split(data.path), reading_of(data, captionless))


def sight_pairs(config: Config) -> Pairs | None:
    """The other pictures for terms that read no captions, where there are some.

    Where they are the pairs that the run's own are a part of, they are the same part.

    Raises:
        SightwordError: as `own_pairs`; or some of what is held out may be among them.
    """
    data = config.data
    if not data.sight:
        return None
    if data.sight == data.path and _takes_parts(data):
        return own_pairs(config)
    sight = open_pairs(data.sight, _own_split(data.sight), reading_of(data, captionless=True))
    if not _takes_parts(data):
        return sight
    if sight.data_hash == all_pairs(config).data_hash:
        return own_pairs(config)
    both = _places(data.sight) & _places(data.path)
    if data.held_out and both:
        raise SightwordError(
            f"--sight-data shows pictures of '{min(both)}', of which data.held_out keeps some away from"
            " training; give the same as --data, or other pictures"
        )
    return sight


def _takes_parts(data: DataConfig) -> bool:
    return data.held_out != 0 or data.samples != 0


def _places(path: str) -> set[str]:
    return {part.strip() for part in path.split("::")}


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
