"""`sightword data ...`: each function calls one room and prints what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from sightword.cli import data_flags as given
from sightword.cli.flags import TableFlags
from sightword.pairs.reading import Reading


def run(flags: object) -> None:
    """Do what a command's flags say."""
    _COMMANDS[type(flags)](flags)


def reading(tables: TableFlags, captionless: bool = False) -> Reading:
    """How to read a source, by its flags."""
    named = {name: value for name, value in vars(tables).items() if value is not None}
    return Reading(captionless=captionless, **named)


def _pack(flags: given.Pack) -> None:
    from sightword.corpora.packing.encoding import Encoding
    from sightword.corpora.packing.pack import PackOptions, pack

    encoding = Encoding(flags.resize, flags.format, flags.quality, flags.only_large)
    options = PackOptions(
        split=flags.split,
        per_shard=flags.per_shard,
        shuffle=flags.shuffle,
        keys=flags.keys,
        encoding=encoding,
        verify=flags.verify,
        max_bad=flags.max_bad,
        processes=flags.workers,
    )
    print(pack(flags.source, Path(flags.out), options, reading(flags.tables, flags.captionless)).line())


def _check(flags: given.Check) -> None:
    from sightword.corpora.checking.check import check
    from sightword.corpora.checking.checked import CheckOptions

    options = CheckOptions(
        split=flags.split,
        share=flags.share,
        against=tuple(part for part in flags.against.split(",") if part),
        ranks=flags.ranks,
        loaders=flags.loaders,
        processes=flags.workers,
    )
    checked = check(flags.source, Path(flags.out), options, reading(flags.tables, flags.captionless))
    print("\n".join(checked.lines()))
    if not checked.whole:
        sys.exit(checked.exit_code)


def _stats(flags: given.Stats) -> None:
    from sightword.corpora.stats.survey import StatsOptions, stats

    options = StatsOptions(flags.split, flags.pictures, flags.captions, flags.size, flags.seed, flags.workers)
    how = reading(flags.tables, flags.captionless)
    print("\n".join(stats(flags.source, Path(flags.out), options, how).lines()))


def _corpus(flags: given.Corpus) -> None:
    from sightword.corpora.building.build import build_corpus

    summary = build_corpus(
        flags.name,
        Path(flags.out),
        archives=[Path(archive) for archive in flags.archive],
        size=flags.size,
        workers=flags.workers,
        monochrome=flags.monochrome,
        share_alike=flags.share_alike,
    )
    splits = ", ".join(f"{name} {count:,}" for name, count in summary.splits.items())
    print(f"{flags.out}: {summary.pairs:,} pairs ({splits}), {summary.captions:,} different captions")
    for reason, count in summary.dropped.items():
        print(f"left out: {count:,} {reason}")
    print(f"licences and sources: {flags.out}/LICENSES.md; next: sightword data stats {flags.out}")


def _index(flags: given.Index) -> None:
    from sightword.pairs.remote.cache import ShardCache
    from sightword.pairs.remote.stores import is_address
    from sightword.pairs.tars.places import tars
    from sightword.pairs.tars.survey import index_shards

    how = Reading()
    cache = ShardCache(how.shard_cache_gib, how.patience) if is_address(flags.source) else None
    for index in index_shards(tars(flags.source, cache), cache):
        left_out = index.report.left_out()
        print(
            f"{index.place}: {index.report.samples:,} pairs in {index.shards:,} shards,"
            f" {index.bytes / 1e9:,.2f} GB; data hash {index.data_hash}"
            + (f"; {index.captionless:,} pictures without captions" if index.captionless else "")
            + (f"; left out: {left_out}" if left_out else "")
            + (f"; {index.repeated_keys:,} keys come again" if index.repeated_keys else "")
        )


_COMMANDS: dict[type, Callable[..., None]] = {
    given.Pack: _pack,
    given.Check: _check,
    given.Stats: _stats,
    given.Corpus: _corpus,
    given.Index: _index,
}
