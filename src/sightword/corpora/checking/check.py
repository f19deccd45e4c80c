"""`sightword data check`: everything that is wrong with a corpus, found before a run finds it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import sightword
from sightword.corpora.checking.across import Rows, repeated
from sightword.corpora.checking.checked import Checked, CheckOptions
from sightword.corpora.checking.contamination import benchmarked, contaminated
from sightword.corpora.checking.findings import Findings, Kind, summary
from sightword.corpora.checking.look_pairs import PairsLooking, look_at_pairs, pairs_jobs
from sightword.corpora.checking.look_tar import MIB, TarJob, look_at_tar, part_size, tar_jobs
from sightword.corpora.checking.looking import Looked, Looking, Tally, kept
from sightword.corpora.parallel import Watch, in_processes, processors
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.files import write_whole
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.places import expand, tars

RESULT, FINDINGS = "check.json", "check.jsonl"


def check(
    source: str,
    out: Path,
    options: CheckOptions = CheckOptions(),  # noqa: B008  frozen
    reading: Reading = Reading(),  # noqa: B008  frozen
) -> Checked:
    """Examine a corpus and list all that is wrong.

    Local tars are walked file by file, so damage to one costs nothing else: what lies behind it is found
    again. Other sources are examined sample by sample. Every picture is decoded at its full size, because a
    smaller decoding does not read the whole file; bits turned inside a JPEG that still decodes stay unseen,
    and so do pictures whose tar header is damaged: nothing tells their name.

    Args:
        source: whatever `open_pairs` opens, whole or not.
        out: a folder for `check.json` and `check.jsonl`.
        options: what to examine.
        reading: how to read; `captionless`: pictures without captions are wanted.

    Raises:
        SightwordError: nothing is there, or `out` cannot be written.
    """
    started = time.monotonic()
    for where in options.against:
        benchmarked(where)  # a wrong name is told before the work, not after
    found = _found(source, options, reading)
    _make(out)
    with tempfile.TemporaryDirectory(prefix="sightword-check-", dir=out) as work:
        looking = Looking(Path(work), options.split, options.share, reading.captionless)
        looked = _look(found, looking, options.processes)
        told = list[Checked]()
        try:
            write_whole(
                out / FINDINGS,
                lambda file: told.append(
                    _conclude(file, source, found, looked, Path(work), options, started)
                ),
            )
            text = json.dumps(dataclasses.asdict(told[0]), indent=1, ensure_ascii=False)
            write_whole(out / RESULT, lambda file: file.write(text.encode(errors="backslashreplace")))
        except OSError as error:
            raise SightwordError(f"cannot write to '{out}' ({error.strerror}); give another --out") from error
    return told[0]


@dataclass(frozen=True)
class _Found:
    """What there is to examine."""

    tars: tuple[Path, ...]
    missing: tuple[Path, ...]
    pairs: tuple[tuple[str, Pairs], ...]

    @property
    def shards(self) -> int:
        return len(self.tars) + sum(len(pairs.counts) for _, pairs in self.pairs)


def _found(source: str, options: CheckOptions, reading: Reading) -> _Found:
    there, missing, pairs = list[Path](), list[Path](), list[tuple[str, Pairs]]()
    for part in (part.strip() for part in source.split("::")):
        local = _local_tars(part)
        if local is None:
            pairs.append((part, open_pairs(part, options.split, reading)))
        else:
            there += [path for path in local if path.exists()]
            missing += [path for path in local if not path.exists()]
    return _Found(tuple(there), tuple(missing), tuple(pairs))


def _local_tars(part: str) -> list[Path] | None:
    """The tars that a part of the source names, there or not; None where it names something else."""
    path = Path(os.path.expanduser(part))
    if "://" in part or not (part == "demo" or part.endswith(".tar") or any(path.glob("*.tar"))):
        return None
    if "{" in part and not path.exists():
        named = [Path(name) for name in expand(os.path.expanduser(part))]
        if any(name.exists() for name in named):
            return named
    return [Path(str(place)) for place in tars(part)]


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SightwordError(f"cannot write to '{out}' ({error.strerror}); give another --out") from error


def _look(found: _Found, looking: Looking, processes: int) -> list[Looked]:
    """All jobs, in their order."""
    jobs = list[TarJob]()
    size = sum(-(-path.stat().st_size // MIB) for path in found.tars)
    part = part_size(size * MIB, processors(processes))
    for path in found.tars:
        jobs += tar_jobs(path, part, len(jobs))
    looked = list[Looked]()
    if jobs:
        looked += in_processes(
            look_at_tar, looking, jobs, processes if len(jobs) > 1 else 1, Watch("MiB", size)
        )
    more = list(pairs_jobs(found.pairs, len(jobs)))
    if more:
        context = PairsLooking(looking, found.pairs)
        watch = Watch("pictures", sum(len(pairs) for _, pairs in found.pairs))
        looked += in_processes(look_at_pairs, context, more, processes if len(more) > 1 else 1, watch)
    return sorted(looked, key=lambda job: job.number)


def _conclude(
    file: BinaryIO,
    source: str,
    found: _Found,
    looked: Sequence[Looked],
    work: Path,
    options: CheckOptions,
    started: float,
) -> Checked:
    """Gather what the jobs found, add what only all together show."""
    findings, tally = Findings(file), Tally()
    for path in found.missing:
        findings.add(Kind.MISSING_SHARD, str(path), "", "there is no such file")
    for job in looked:
        with kept(work, job.number).findings.open("rb") as lines:
            shutil.copyfileobj(lines, file)
        for kind, count in job.counts.items():
            findings.counts[kind] = findings.counts.get(kind, 0) + count
            findings.firsts.setdefault(kind, job.firsts[kind])
        tally.add(job.tally)
    rows = Rows([kept(work, job.number) for job in looked])
    again = repeated(rows, findings)
    against = [
        one for where in options.against for one in contaminated(rows, where, options.processes, findings)
    ]
    _judge_shards(findings, source, found.shards, options)
    if not tally.samples:
        findings.add(Kind.NOTHING, source, "", f"{found.shards} shards without a picture")
    seconds = time.monotonic() - started
    return Checked(
        source=source,
        split=options.split,
        shards=found.shards,
        samples=tally.samples,
        decoded=tally.decoded,
        problems=sum(count for kind, count in findings.counts.items() if kind.problem),
        notes=sum(count for kind, count in findings.counts.items() if not kind.problem),
        counts={kind.title: count for kind, count in findings.counts.items()},
        captions=tally.captions,
        mean_characters=tally.characters / max(1, tally.captions),
        longest_caption=tally.longest,
        longest_caption_key=tally.longest_key,
        over_context=tally.over_context / max(1, tally.captions),
        repeated=again,
        against=tuple(against),
        seconds=seconds,
        samples_per_second=tally.samples / seconds,
        version=sightword.__version__,
        summary=tuple(summary(findings.counts, findings.firsts)),
    )


def _judge_shards(findings: Findings, source: str, shards: int, options: CheckOptions) -> None:
    """Our order reads any shard from any worker, so this concerns other loaders alone."""
    needed = options.ranks * options.loaders
    if shards < needed:
        findings.add(
            Kind.FEW_SHARDS,
            source,
            "",
            f"{shards} shards for {options.ranks} ranks x {options.loaders} loaders: webdataset and "
            "open_clip give each loader shards of its own, so some get none and hang or repeat; sightword "
            "does not mind",
        )
