"""What a plan is being worked out of, shown while it lasts; where there is no screen, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def telling_what(title: str) -> Iterator[Callable[[str], None]]:
    """Give out a function that is told what comes next."""
    console = Console(stderr=True)
    with console.status(f"{title} ...") as status:
        yield lambda what: status.update(f"{title}: {what} ...")
