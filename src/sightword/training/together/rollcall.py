"""Every rank tells how it stands, and hears how the others do. Whose news stop coming is cut off or dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sightword.training.together.board import Board, Unreachable
from sightword.training.together.hang import LOST, Heard
from sightword.training.together.standing import Standing

_SHOWN = 3  # ranks whose last words are told


@dataclass(frozen=True)
class _News:
    """The last of a rank, and when it came by our clock: those of two hosts need not agree."""

    standing: Standing
    at: float


class RollCall:
    """What this rank knows of all.

    Args:
        board: where all tell; None for a rank that only hears itself.
        rank: who we are.
        world: how many there are.
    """

    def __init__(self, board: Board | None, rank: int, world: int) -> None:
        self.board, self._rank, self._world = board, rank, world
        self._news: dict[int, _News] = {}
        self._stack: list[str] = []
        self._unreachable: tuple[float, str] | None = None  # since when, and what the last attempt said

    def begin(self) -> None:
        """Forget that a hang was told before these processes started."""
        self._ask(lambda board: board.forget("told"))

    def tell(self, standing: Standing) -> None:
        """How we stand."""
        self._note(standing)
        self._ask(lambda board: board.put(_at(self._rank), asdict(standing)))

    def tell_stack(self, stack: Sequence[str]) -> None:
        """Our frames, for whoever writes the table."""
        self._stack = list(stack)
        self._ask(lambda board: board.put(_stack(self._rank), {"frames": list(stack)}))

    def hear(self) -> None:
        """Ask how all stand."""
        everyone = [_at(rank) for rank in range(self._world)]
        for value in (self._ask(lambda board: board.read(everyone)) or {}).values():
            self._note(Standing(**value))

    def stood_still(self, seconds: float) -> None:
        """We were stopped for so long and heard nothing: nobody was silent meanwhile."""
        self._news = {rank: replace(one, at=one.at + seconds) for rank, one in self._news.items()}

    def first_to_say(self) -> bool:
        """Whether we are the one that tells the user; also when nobody can be asked."""
        return self._ask(lambda board: board.first("told")) is not False

    @property
    def heard(self) -> dict[int, Heard]:
        """Every rank; without a board, ourselves."""
        now = time.monotonic()
        ranks = range(self._world) if self.board is not None else (self._rank,)
        return {rank: _heard(self._news.get(rank), now) for rank in ranks}

    @property
    def unreachable(self) -> tuple[float, str] | None:
        """For how many seconds the board has not answered, and why."""
        if self._unreachable is None:
            return None
        since, fault = self._unreachable
        return time.monotonic() - since, fault

    def last_words(self) -> str:
        """Who has left the loop and why, or ""."""
        self.hear()
        left = [news.standing for news in self._news.values() if news.standing.left not in ("", LOST)]
        return "; ".join(f"{one.name} left at step {one.step} ({one.left})" for one in left[:_SHOWN])

    def table(self) -> list[dict[str, Any]]:
        """All that is known of each rank."""
        everyone = [_stack(rank) for rank in range(self._world)]
        stacks = self._ask(lambda board: board.read(everyone)) or {
            _stack(self._rank): {"frames": self._stack}
        }
        return [
            {
                **asdict(one.standing),
                "silent": round(one.silent, 1),
                "stack": stacks.get(_stack(rank), {}).get("frames", []),
            }
            for rank, one in sorted(self.heard.items())
            if one.standing is not None
        ]

    def _note(self, standing: Standing) -> None:
        known = self._news.get(standing.rank)
        if known is None or known.standing != standing:
            self._news[standing.rank] = _News(standing, time.monotonic())

    def _ask(self, question: Callable[[Board], Any]) -> Any:
        """An answer of the board; None when there is no board, or no answer."""
        if self.board is None:
            return None
        try:
            answer = question(self.board)
        except Unreachable as fault:
            since, _ = self._unreachable or (time.monotonic(), "")
            self._unreachable = since, str(fault)
            return None
        self._unreachable = None
        return answer


def _heard(news: _News | None, now: float) -> Heard:
    return Heard(None) if news is None else Heard(news.standing, now - news.at)


def _at(rank: int) -> str:
    return f"at/{rank}"


def _stack(rank: int) -> str:
    return f"stack/{rank}"
