"""The flags of `sightword index` and `sightword search`. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

from sightword.cli.flags import TableFlags, arg

Switch = FlagCreatePairsOff[bool]


@dataclass(frozen=True)
class IndexPictures:
    """Index pictures by a model's features, to search them; called again, it takes in what changed.

    sightword index photos/ --model runs/slip --out photos.index
    sightword index 'cc/{00000..01100}.tar' --model runs/slip --out cc.index
    """

    source: Annotated[Positional[str], arg(metavar="FOLDER|DATA")]
    """a folder of pictures, or whatever --data takes: tars, csv, Parquet, ..."""
    model: Annotated[str, arg(metavar="RUN")]
    """whose features: a run's directory, or weights from elsewhere"""
    out: Annotated[str, arg(metavar="INDEX")]
    """the folder of the index"""
    split: Annotated[str, arg(metavar="TEXT")] = ""
    """only samples whose field `split` is this"""
    exact_up_to: Annotated[int, arg(metavar="N")] = 1_000_000
    """pictures up to which a search compares with each; beyond, a graph of neighbours (HNSW)"""
    device: Annotated[str, arg(metavar="NAME")] = "auto"
    """where to encode: cpu, cuda, cuda:1; auto: a GPU where there is one"""
    json: Annotated[Switch, arg()] = False
    """one line of JSON instead of words"""
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


@dataclass(frozen=True)
class Search:
    """Find pictures of an index by words or by a picture, here or on a page in your browser.

    sightword search photos.index "a red bus"
    sightword search photos.index --image query.jpg --top 5 --json
    sightword search photos.index --page
    """

    index: Annotated[Positional[str], arg(metavar="INDEX")]
    """the folder that `sightword index` wrote"""
    words: Annotated[Positional[str | None], arg(metavar='["WORDS"]')] = None
    """what the pictures should show"""
    image: Annotated[str | None, arg(metavar="FILE")] = None
    """find pictures that are like this one"""
    top: Annotated[int, arg(metavar="N")] = 20
    """how many to show"""
    page: Annotated[Switch, arg()] = False
    """a page to search on, for this machine alone, until Ctrl-C"""
    port: Annotated[int, arg(metavar="N")] = 0
    """of the page; 0: any that is free"""
    model: Annotated[str, arg(metavar="RUN")] = ""
    """where the index's model lies now, if it was moved"""
    device: Annotated[str, arg(metavar="NAME")] = "auto"
    """where to encode what is asked for"""
    json: Annotated[Switch, arg()] = False
    """a line of JSON for each picture"""
