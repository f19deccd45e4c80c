"""Who reads an address.

Web addresses are read by a room of our own on the standard library, so that they need no further package
and always behave alike; all others by fsspec, which knows every object store.
"""

from __future__ import annotations

import re
from collections import Counter

from sightword.errors import SightwordError
from sightword.pairs.remote.file import NotThere, Store
from sightword.pairs.remote.patience import Patience, persist

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SMALL = 1 << 30  # bytes that may be read into memory at once


def is_address(part: str) -> bool:
    """Whether this is written with a protocol, as `s3://bucket/0.tar`."""
    return _ADDRESS.match(part) is not None


def is_web(address: str) -> bool:
    """Whether this lies on a web server."""
    return address.partition("://")[0].lower() in ("http", "https")


def store_of(address: str, timeout: float) -> Store:
    """Who reads this address; whether a package is missing is seen when it is asked.

    Args:
        address: with its protocol.
        timeout: seconds that a server may stay silent.
    """
    if is_web(address):
        from sightword.pairs.remote.web import Web

        return Web(timeout)
    from sightword.pairs.remote.object_stores import ObjectStores  # fsspec takes a tenth of a second

    return ObjectStores(timeout)


def read_file(address: str, patience: Patience) -> bytes | None:
    """The whole of a small file; None when nothing lies there.

    Raises:
        SightwordError: it cannot be read, or is too large for that.
    """
    store, failures = store_of(address, patience.timeout), Counter[str]()
    try:
        remote = persist(lambda: store.look(address), address, patience, failures)
    except NotThere:
        return None
    if remote.size > _SMALL:
        raise SightwordError(
            f"'{address}' has {remote.size:,} bytes; at most {_SMALL:,} are read into memory"
        )
    content = bytearray()

    def go_on() -> None:
        for piece in store.read(remote, len(content)):
            content.extend(piece)

    persist(go_on, address, patience, failures, lambda: len(content))
    return bytes(content)
