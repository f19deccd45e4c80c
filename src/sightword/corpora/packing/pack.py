"""`sightword data pack`: any pairs into webdataset shards, in parallel, again and again the same bytes."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sightword
from sightword.corpora.packing.pack_plan import PackOptions, begin
from sightword.corpora.packing.shard_job import Packing, Shard, finished, write
from sightword.corpora.parallel import Watch, in_processes
from sightword.errors import SightwordError
from sightword.pairs.files import write_whole
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.survey import index_shards

RESULT, QUARANTINE = "pack.json", "quarantine.jsonl"


@dataclass(frozen=True)
class Packed:
    """What became of it; `pack.json` is exactly this."""

    source: str
    out: str
    plan: str  # the hash of `plan.json`
    data_hash: str  # of the packed pairs, as a run records it
    samples: int
    shards: int
    bytes: int
    bad: int  # left out: see `quarantine.jsonl`
    not_served: str  # what opening the source left out before: captions without pictures, broken json, ...
    notes: tuple[str, ...]  # what else is to be known of the source
    encoded: int  # pictures that were made anew
    renamed: int  # keys that were changed
    reused_shards: int  # written by an earlier call
    seconds: float
    samples_per_second: float  # of this call
    version: str

    def line(self) -> str:
        """The result in one line."""
        left_out = f", {self.bad:,} left out (see {QUARANTINE})" if self.bad else ""
        left_out += f", of the source {self.not_served}" if self.not_served else ""
        return (
            f"{self.out}: {self.samples:,} pairs in {self.shards:,} shards, {self.bytes / 1e6:,.1f} MB"
            f"{left_out}; {self.seconds:.1f} s, {self.samples_per_second:,.0f} pairs/s"
        )


def pack(
    source: str,
    out: Path,
    options: PackOptions = PackOptions(),  # noqa: B008  frozen
    reading: Reading = Reading(),  # noqa: B008  frozen
) -> Packed:
    """Write any pairs as webdataset tars with their indices, img2dataset's stats and a record.

    Killed at any moment, the same call goes on: whole shards are kept. Equal pairs and options give equal
    tars, whatever the number of processes.

    Args:
        source: whatever `open_pairs` opens.
        out: the folder to write to; empty, or with an unfinished packing of the same kind.
        options: how to pack.
        reading: how to read the source; `captionless` keeps pictures without captions.

    Raises:
        SightwordError: the source cannot be read, the folder holds something else, the disk is full, or too
            many samples are unreadable.
    """
    started = time.monotonic()
    pairs = open_pairs(source, options.split, dataclasses.replace(reading, max_bad=options.max_bad))
    packing = begin(pairs, out, options, reading)
    reused = {number: shard for number in range(packing.shards) if (shard := finished(packing, number))}
    shards = _write_rest(packing, reused, options)
    return _told(source, packing, shards, reused, reading, started)


def _write_rest(packing: Packing, reused: Mapping[int, Shard], options: PackOptions) -> list[Shard]:
    """All shards in order. Stops as soon as more samples are unreadable than may be in all."""
    total = len(packing.pairs)
    shards = dict(reused)
    bad = sum(len(shard.bad) for shard in reused.values())
    missing = [number for number in range(packing.shards) if number not in reused]
    watch = Watch("packing", total, done=sum(shard.count for shard in reused.values()))
    count = options.processes if len(missing) > 1 else 1
    for shard in in_processes(write, packing, missing, count, watch):
        shards[shard.number] = shard
        bad += len(shard.bad)
        if bad > options.max_bad * total:
            break
    if bad > options.max_bad * total:
        raise _too_many(shards.values(), bad, total, options.max_bad)
    return [shards[number] for number in sorted(shards)]


def _too_many(shards: Iterable[Shard], bad: int, total: int, max_bad: float) -> SightwordError:
    first = next(entry for shard in shards for entry in shard.bad)
    return SightwordError(
        f"{bad:,} samples are unreadable, more than {max_bad:g} of all {total:,}; first {first.key} "
        f"({first.reason}), all in the *_stats.json; repair the data, or set --max-bad higher and run the "
        "same command again"
    )


def _told(
    source: str,
    packing: Packing,
    shards: list[Shard],
    reused: Mapping[int, Shard],
    reading: Reading,
    started: float,
) -> Packed:
    """Read the result back, and write the records."""
    out, samples = packing.out, sum(shard.successes for shard in shards)
    bad: list[dict[str, object]] = [
        {"number": None, "key": key, "reason": reason} for key, reason in packing.pairs.unreadable
    ]
    bad += [
        {"number": bad.number, "key": bad.key, "reason": bad.reason} for shard in shards for bad in shard.bad
    ]
    lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in bad)
    write_whole(out / QUARANTINE, lambda file: file.write(lines.encode(errors="backslashreplace")))
    if not samples:
        raise SightwordError(
            f"none of the {len(packing.pairs):,} samples could be packed; see '{out / QUARANTINE}'"
        )
    for torn in out.glob(".*.tar.*"):  # of calls that were killed
        torn.unlink(missing_ok=True)
    index_shards([str(packing.tar(shard.number)) for shard in shards])
    packed = open_pairs(str(out), reading=reading)
    if len(packed) != samples:
        raise SightwordError(
            f"'{out}' should hold {samples:,} samples, but reads as {len(packed):,}; "
            "did something else write there?"
        )
    seconds = time.monotonic() - started
    fresh = sum(shard.count for shard in shards if shard.number not in reused)
    told = Packed(
        source=source,
        out=str(out),
        plan=packing.plan,
        data_hash=packed.data_hash,
        samples=samples,
        shards=len(shards),
        bytes=sum(shard.bytes for shard in shards),
        bad=len(bad),
        not_served=packing.pairs.report.left_out(),
        notes=packing.pairs.notes,
        encoded=sum(shard.encoded for shard in shards),
        renamed=sum(shard.renamed for shard in shards),
        reused_shards=len(reused),
        seconds=seconds,
        samples_per_second=fresh / seconds,
        version=sightword.__version__,
    )
    text = json.dumps(dataclasses.asdict(told), indent=1, ensure_ascii=False)
    write_whole(out / RESULT, lambda file: file.write(text.encode()))
    return told
