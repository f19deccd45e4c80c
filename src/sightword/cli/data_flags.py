"""The flags of `sightword data ...`, as dataclasses that tyro reads. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, UseAppendAction

from sightword.cli.flags import TableFlags, arg

Switch = FlagCreatePairsOff[bool]


@dataclass(frozen=True)
class Pack:
    """Write any pairs as shards that every reader of webdatasets understands; called again, it goes on.

    sightword data pack my.csv --csv-img-key path --csv-caption-key text --out shards/
    sightword data pack 'cc/{00000..01100}.tar' --resize 256 --quality 85 --out cc256/
    sightword data pack coco:/data/coco --split train --out coco/
    """

    source: Annotated[Positional[str], arg(metavar="DATA")]
    """whatever --data takes: tars, csv, Parquet, folders, coco:DIR, ..."""
    out: Annotated[str, arg(metavar="DIR")]
    """the folder to write to"""
    split: Annotated[str, arg(metavar="TEXT")] = ""
    """keep samples whose field `split` is this"""
    per_shard: Annotated[int, arg(metavar="N")] = 10_000
    """samples of a shard"""
    resize: Annotated[int, arg(metavar="PIXELS")] = 0
    """the shorter side at most; nothing is made larger; 0: as it is"""
    format: Annotated[Literal["keep", "jpg", "png", "webp"], arg(metavar="keep|jpg|png|webp")] = "keep"
    """what a picture becomes"""
    quality: Annotated[int, arg(metavar="1-100")] = 85
    """of jpg and webp"""
    only_large: Annotated[Switch, arg()] = False
    """touch only what is larger than --resize"""
    shuffle: Annotated[int | None, arg(metavar="SEED")] = None
    """deal the samples out over the shards at random"""
    keys: Annotated[Literal["keep", "number"], arg(metavar="keep|number")] = "keep"
    """names as they are, made safe and unique, or running numbers"""
    captionless: Annotated[Switch, arg()] = False
    """keep pictures without captions as well"""
    verify: Annotated[Switch, arg()] = False
    """decode every picture, also those that stay as they are"""
    max_bad: Annotated[float, arg(metavar="SHARE")] = 0.01
    """share of unreadable samples above which packing stops"""
    workers: Annotated[int, arg(metavar="N")] = 0
    """processes; 0: one for each processor; never changes what is written"""
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


@dataclass(frozen=True)
class Check:
    """Examine pairs before anything is paid for. Exit code 0: whole; 1: something is wrong.

    sightword data check 'cc/{00000..01100}.tar'
    sightword data check shards/ --against demo,wds/cifar100 --share 0.1
    """

    source: Annotated[Positional[str], arg(metavar="DATA")]
    """whatever --data takes: tars, csv, Parquet, folders, coco:DIR, ..."""
    out: Annotated[str, arg(metavar="DIR")] = "check"
    """where check.json and check.jsonl go, which list every finding"""
    split: Annotated[str, arg(metavar="TEXT")] = ""
    """only samples whose field `split` is this"""
    share: Annotated[float, arg(metavar="SHARE")] = 1.0
    """of the pictures that are decoded and compared; everything else is always examined"""
    against: Annotated[str, arg(metavar="SETS")] = ""
    """test sets, joined by commas: none of their pictures should be here"""
    ranks: Annotated[int, arg(metavar="N")] = 0
    """training processes: are there shards for all of them in other trainers?"""
    loaders: Annotated[int, arg(metavar="N")] = 1
    """loaders of each of these"""
    captionless: Annotated[Switch, arg()] = False
    """pictures without captions are wanted"""
    workers: Annotated[int, arg(metavar="N")] = 0
    """processes; 0: one for each processor"""
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


@dataclass(frozen=True)
class Stats:
    """Show what is in pairs, on one page with pictures: sizes, captions, what repeats, what is left out.

    sightword data stats pairs.csv --out stats.html
    """

    source: Annotated[Positional[str], arg(metavar="DATA")]
    """whatever --data takes: tars, csv, Parquet, folders, coco:DIR, ..."""
    out: Annotated[str, arg(metavar="FILE")] = "stats.html"
    """the page; the same numbers go into a .json beside it"""
    split: Annotated[str, arg(metavar="TEXT")] = ""
    """only samples whose field `split` is this"""
    pictures: Annotated[int, arg(metavar="N")] = 10_000
    """how many pictures are looked at"""
    captions: Annotated[int, arg(metavar="N")] = 1_000_000
    """how many captions are read"""
    size: Annotated[int, arg(metavar="PIXELS")] = 224
    """of training, which stored sizes are compared with"""
    seed: Annotated[int, arg(metavar="N")] = 0
    """of the choice"""
    captionless: Annotated[Switch, arg()] = False
    """look at pictures without captions as well"""
    workers: Annotated[int, arg(metavar="N")] = 0
    """processes; 0: one for each processor"""
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


@dataclass(frozen=True)
class Corpus:
    """Build a public corpus from packages that npm or apt-get fetch: pictures, captions, licences, splits.

    sightword data corpus icons --out icons/
    sightword data corpus emoji --out emoji/ --size 72
    sightword data corpus clipart --archive openclipart-svg.deb --out clipart/
    """

    name: Annotated[Positional[str], arg(metavar="icons|emoji|clipart")]
    """which one"""
    out: Annotated[str, arg(metavar="DIR")]
    """a new folder"""
    archive: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FILE")] = ()
    """a package that you have already; may be given again"""
    size: Annotated[int, arg(metavar="PIXELS")] = 128
    """of a picture's side at most; smaller ones are not enlarged"""
    monochrome: Annotated[Switch, arg()] = False
    """of the icons, also those without colours"""
    share_alike: Annotated[bool | None, arg(metavar="True|False")] = None
    """whether artwork under CC-BY-SA is used (default: in emoji only)"""
    workers: Annotated[int, arg(metavar="N")] = 0
    """processes; 0: one for each processor; never changes what is written"""


@dataclass(frozen=True)
class Index:
    """Write down what lies in a set of shards, in one file beside them: then opening them takes no time.

    sightword data index cc/
    sightword data index 's3://bucket/cc/{00000..01100}.tar'
    """

    source: Annotated[Positional[str], arg(metavar="SHARDS")]
    """a folder of tars, or shards as --data takes them"""


DATA_COMMANDS: dict[str, type] = {
    "pack": Pack,
    "check": Check,
    "stats": Stats,
    "corpus": Corpus,
    "index": Index,
}
