"""What a corpus is examined for, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sightword.corpora.checking.across import Repeated
from sightword.corpora.checking.contamination import Contaminated
from sightword.errors import SightwordError


@dataclass(frozen=True)
class CheckOptions:
    """What to examine.

    Args:
        split: only samples whose json says so.
        share: of the pictures that are decoded and compared; structure and captions are always examined.
        against: test sets, as `evaluate --on` or `--data` name them: none of their pictures should be here.
        ranks, loaders: processes of a training run, and loaders of each: are there shards for all of them?
        processes: how many work at once; 0: one for each processor.
    """

    split: str = ""
    share: float = 1.0
    against: tuple[str, ...] = ()
    ranks: int = 0
    loaders: int = 1
    processes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise SightwordError(f"--share is a share of the pictures from 0 to 1, found {self.share:g}")
        if self.ranks < 0 or self.loaders < 1:
            raise SightwordError(f"--ranks and --loaders are counts, found {self.ranks} and {self.loaders}")


@dataclass(frozen=True)
class Checked:
    """What was found; `check.json` is exactly this, and `check.jsonl` lists every finding."""

    source: str
    split: str
    shards: int
    samples: int  # with a picture
    decoded: int  # pictures that can be read whole
    problems: int
    notes: int
    counts: Mapping[str, int]  # findings of each kind
    captions: int
    mean_characters: float
    longest_caption: int  # characters
    longest_caption_key: str
    over_context: float  # share of captions with more than 77 tokens: CLIP's tower does not see their end
    repeated: Repeated
    against: tuple[Contaminated, ...]
    seconds: float
    samples_per_second: float
    version: str
    summary: tuple[str, ...]  # for people

    @property
    def whole(self) -> bool:
        """Whether there is no problem; notes do not count."""
        return not self.problems

    @property
    def exit_code(self) -> int:
        """0: whole; 1: problems. (2 is for wrong usage, an error.)"""
        return 0 if self.whole else 1

    def lines(self) -> Iterator[str]:
        """The result, a line each."""
        yield (
            f"{self.source}: {self.samples:,} samples in {self.shards:,} shards, {self.decoded:,} pictures "
            f"decoded; {self.seconds:.1f} s, {self.samples_per_second:,.0f} samples/s"
        )
        if self.captions:
            yield self._captions_line()
        yield f"pictures that come again: {self.repeated.near_share:.2%} (same bytes or near copies)"
        yield from (found.line() for found in self.against)
        yield from self.summary
        yield "whole" if self.whole else f"not whole: {self.problems:,} problems, {self.notes:,} notes"

    def _captions_line(self) -> str:
        return (
            f"captions: {self.captions:,}, {self.mean_characters:.0f} characters on average, at most "
            f"{self.longest_caption:,} ({self.longest_caption_key}), {self.over_context:.2%} longer than 77 "
            f"tokens, {self.repeated.repeated_captions:.2%} occur more than once"
        )
