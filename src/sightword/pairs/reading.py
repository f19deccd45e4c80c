"""How pairs are to be read: what a path alone does not say."""

from __future__ import annotations

from dataclasses import dataclass, field

from sightword.pairs.remote.patience import Patience


@dataclass(frozen=True)
class Reading:
    """Names of columns, and limits.

    Args:
        image_key: the column that names or holds the picture.
        caption_key: the columns with captions, joined by commas.
        separator: between the columns of a text table; empty: found out.
        image_root: the folder that relative picture paths start from; empty: the table's own.
        captionless: whether pictures without captions are wanted as well.
        max_bad: share of damaged shards, or of captions that are not UTF-8, above which tars are refused.
            With less, what is left is served and the rest listed in `Pairs.unreadable`.
        shard_cache_gib: disk that copies of remote shards may take.
        patience: how long to bear with a network.
    """

    image_key: str = "filepath"
    caption_key: str = "title"
    separator: str = ""
    image_root: str = ""
    captionless: bool = False
    max_bad: float = 0.0
    shard_cache_gib: float = 50.0
    patience: Patience = field(default_factory=Patience)
