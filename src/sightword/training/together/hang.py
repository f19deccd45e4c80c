"""When nothing moves any more: who holds up the others, and the line that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sightword.training.together.standing import Standing

LOST = "it lost the others"  # why a rank left that is not to blame
_SHOWN = 8  # ranks in a line


@dataclass(frozen=True)
class Heard:
    """A rank as another sees it.

    standing: the last that was heard of it; None when it never said anything.
    silent: seconds without news.
    """

    standing: Standing | None
    silent: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """Who holds up the others, and why; no ranks when nobody is late.

    paused: it does what may take long, and lives.
    """

    ranks: tuple[int, ...]
    said: str
    paused: bool = False


def judge(heard: Mapping[int, Heard], silence: float) -> Verdict:
    """Who holds up the others.

    In this order: who left the loop, who never came, who fell silent, who does what may take long while
    others do not, who has done less than others, who is not in a collective while others are, who stands
    elsewhere than most.

    Args:
        heard: every rank of the run, at least one of which has told how it stands.
        silence: seconds without news after which a rank counts as cut off.
    """
    there = {rank: one.standing for rank, one in heard.items() if one.standing is not None}
    left = [rank for rank, one in there.items() if one.left and one.left != LOST]
    if left:
        first = there[left[0]]
        return _verdict(left, there, f"{_some(there, left)} left at step {first.step} ({first.left})")
    absent = [rank for rank in heard if rank not in there]
    if absent:
        return _verdict(absent, there, f"{_ranks(absent)} never came to the first step")
    silent = [rank for rank in there if heard[rank].silent > silence]
    if silent:
        since = f"not heard of for {heard[silent[0]].silent:.0f} s, last {there[silent[0]].where}"
        return _verdict(silent, there, f"{_some(there, silent)} is cut off, dead or stopped: {since}")
    late = _late(there)
    if late:
        one = there[late[0]]
        said = f"{_some(there, late)} has stood for {one.seconds:.0f} s {one.where}"
        return _verdict(late, there, said, one.paused)
    return _nobody(there)


def _late(there: Mapping[int, Standing]) -> list[int]:
    paused = [rank for rank, one in there.items() if one.paused]
    if 0 < len(paused) < len(there):
        return paused
    done = {rank: (one.step, one.beats) for rank, one in there.items()}
    least = min(done.values())
    if least < max(done.values()):
        return [rank for rank, one in done.items() if one == least]
    outside = [rank for rank, one in there.items() if not one.collective]
    if 0 < len(outside) < len(there):
        return outside
    places = Counter(one.own or one.innermost for one in there.values())
    usual = places.most_common(1)[0][0]
    return [rank for rank, one in there.items() if (one.own or one.innermost) != usual]


def _nobody(there: Mapping[int, Standing]) -> Verdict:
    one = next(iter(there.values()))
    if len(there) == 1:
        return Verdict((one.rank,), f"{one.name} has stood for {one.seconds:.0f} s {one.where}", one.paused)
    said = f"all {len(there)} ranks have stood for {one.seconds:.0f} s {one.where}: nobody is late"
    return Verdict((), f"{said}, so it is the network between them or a device", one.paused)


def _verdict(ranks: Sequence[int], there: Mapping[int, Standing], said: str, paused: bool = False) -> Verdict:
    others = Counter(one.where for rank, one in there.items() if rank not in ranks)
    if not others:
        return Verdict(tuple(ranks), said, paused)
    (place, most), count = others.most_common(1)[0], others.total()
    wait = f"{count} other{' waits' if count == 1 else 's wait'}{f', {most} of them' if most < count else ''}"
    return Verdict(tuple(ranks), f"{said}; {wait} {place}", paused)


def _some(there: Mapping[int, Standing], ranks: Sequence[int]) -> str:
    """The first by name, the others by number."""
    return there[ranks[0]].name + (f" (and likewise {_ranks(ranks[1:])})" if ranks[1:] else "")


def _ranks(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:_SHOWN]))
    more = f" and {len(ranks) - _SHOWN} more" if len(ranks) > _SHOWN else ""
    return f"rank{'s' if ranks[1:] else ''} {shown}{more}"
