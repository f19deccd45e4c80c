"""Floor 9. `sightword data ...`: each function calls one room and prints what came of it."""

from __future__ import annotations

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
    from sightword.corpora.encoding import Encoding
    from sightword.corpora.pack import PackOptions, pack

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


def _corpus(flags: given.Corpus) -> None:
    from sightword.corpora.build import build_corpus

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


_COMMANDS: dict[type, Callable[..., None]] = {given.Pack: _pack, given.Corpus: _corpus}
