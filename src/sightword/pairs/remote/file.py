"""A file that lies elsewhere: what is known of it, and what whoever reads it must do."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from sightword.errors import SightwordError

INDEXED = "indexed "  # begins the tag of a file that is known from an index alone


@final
@dataclass(frozen=True)
class Remote:
    """A file elsewhere, as it was when somebody looked.

    Args:
        address: with its protocol.
        size: bytes.
        tag: what changes with the content: ETag, checksum or time of change, as the store has it; or empty;
            or, of a shard that nobody has looked at, `INDEXED` and the digest in the index beside it.
    """

    address: str
    size: int
    tag: str

    @property
    def key(self) -> str:
        """A name for what is derived from it: another one when address, size or tag are others."""
        facts = repr((self.address, self.size, self.tag)).encode(errors="surrogateescape")
        return hashlib.blake2b(facts, digest_size=16).hexdigest()

    def is_still(self, now: Remote) -> bool:
        """Whether what lies there now is this, as far as can be told."""
        return self.size == now.size and (self.tag == now.tag or not self.tagged or not now.tagged)

    @property
    def tagged(self) -> bool:
        """Whether its store would tell that it has changed."""
        return bool(self.tag) and not self.tag.startswith(INDEXED)

    @property
    def facts(self) -> str:
        """Size and tag, for people."""
        return f"{self.size:,} bytes ({self.tag or 'no tag'})"


class NotThere(SightwordError):  # noqa: N818
    """Nothing lies at an address."""


class Changed(SightwordError):  # noqa: N818
    """A file is not what it was when the data set was opened."""

    def __init__(self, was: Remote, now: Remote) -> None:
        super().__init__(
            f"'{was.address}' has changed since the data set was opened: {was.facts} then, {now.facts} now; "
            "start again, and it is examined anew"
        )


class Store(ABC):
    """Whoever reads addresses of some protocols.

    Args:
        timeout: seconds that a server may stay silent.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout

    @abstractmethod
    def look(self, address: str) -> Remote:
        """What lies there.

        Raises:
            NotThere: nothing does.
            Transient: it may be known later.
            SightwordError: it cannot be read.
        """

    @abstractmethod
    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        """The bytes from `start` on, in pieces.

        Raises:
            Changed: it is another file by now.
            Transient: it broke; to go on later from where it did.
            SightwordError: it cannot be read.
        """

    @abstractmethod
    def find(self, pattern: str) -> list[Remote]:
        """The files whose names match, sorted.

        Raises:
            Transient: it may be known later.
            SightwordError: nothing can be listed there.
        """
