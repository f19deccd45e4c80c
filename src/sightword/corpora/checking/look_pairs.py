"""A range of any pairs examined: what no tar's structure says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sightword.corpora.checking.findings import Kind
from sightword.corpora.checking.looking import Look, Looked, Looking
from sightword.corpora.parallel import Tick
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs, Sample

AT_ONCE = 500  # pairs of a job


@dataclass(frozen=True)
class PairsJob:
    """Pairs from `start` to `stop` of a source."""

    number: int
    source: int
    start: int
    stop: int


@dataclass(frozen=True)
class PairsLooking:
    """What every process needs: how to look, and the sources with their names."""

    looking: Looking
    sources: tuple[tuple[str, Pairs], ...]


def pairs_jobs(sources: tuple[tuple[str, Pairs], ...], first: int) -> Iterator[PairsJob]:
    """The jobs of all sources, numbered from `first`."""
    for source, (_, pairs) in enumerate(sources):
        for start in range(0, len(pairs), AT_ONCE):
            yield PairsJob(first, source, start, min(start + AT_ONCE, len(pairs)))
            first += 1


def look_at_pairs(context: PairsLooking, job: PairsJob, tick: Tick) -> Looked:
    """Examine a range of pairs."""
    with Look(context.looking, job.number, context.sources[job.source][0]) as look:
        for sample in readable(context, job, look, tick, SightwordError, OSError):
            texts = [text for text in sample.captions if text.strip()]
            if not texts and not context.looking.captionless:
                look.add(Kind.NO_CAPTION, sample.key, "it has no words")
            look.captions(sample.key, texts)
            look.picture(sample.key, sample.image)
    return look.told()


def readable(
    context: PairsLooking, job: PairsJob, look: Look, tick: Tick, *forgiven: type[Exception]
) -> Iterator[Sample]:
    """The pairs of a range that can be read; the look is told of the bad ones.

    Args:
        context: how to look, and the sources.
        job: the range.
        look: is told of bad samples.
        tick: told of each pair.
        forgiven: other errors of a source that make a sample bad, where they do not end the job.
    """
    pairs = context.sources[job.source][1]
    bad_ones: tuple[type[Exception], ...] = (BadSample, *forgiven)
    for number in range(job.start, job.stop):
        try:
            sample = pairs[number]
        except bad_ones as error:
            bad = error if isinstance(error, BadSample) else BadSample(f"sample {number}", str(error))
            look.unreadable(bad)
        else:
            yield sample
        tick(1)
