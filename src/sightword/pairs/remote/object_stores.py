"""Files in object stores, read with fsspec: s3, gs, hf, abfs, sftp, memory, ...

Reads in blocks, each of them a request of its own, so a broken transfer goes on where it broke. No file
system is kept: fsspec keeps its own, one set for each process, which is what survives a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime
from threading import Thread
from typing import Any, TypeVar, final

import fsspec
from fsspec.core import url_to_fs
from fsspec.registry import known_implementations

from sightword.errors import SightwordError, unknown
from sightword.pairs.remote.file import Changed, NotThere, Remote, Store
from sightword.pairs.remote.patience import Transient

T = TypeVar("T")
_BLOCK = 8 << 20  # bytes a request
_BLOCK_TIMEOUTS = 4  # a block may take so many times as long as a server may stay silent
# What stores call that which changes with a file's content; the first that there is counts.
_TAGS = ("ETag", "etag", "md5Hash", "sha256", "blob_id", "checksum", "generation", "mtime", "LastModified",
         "last_modified", "modify", "modified", "updated", "created")  # fmt: skip
_PASSING = {408, 409, 425, 429}
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError,
            NotImplementedError, TypeError, ValueError, AttributeError)  # fmt: skip


@final
class ObjectStores(Store):
    """Reads whatever fsspec reads; a request that brings a block of 8 MiB may take four timeouts."""

    def look(self, address: str) -> Remote:
        def ask() -> Mapping[str, Any]:
            files, path = _opened(address)
            files.invalidate_cache(path)  # what it remembers of an earlier listing may be old
            found: Mapping[str, Any] = files.info(path)
            return found

        return _described(address, self._asked(address, ask, self.timeout))

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        for begin in range(start, remote.size, _BLOCK):
            end = min(begin + _BLOCK, remote.size)
            piece = self._asked(
                remote.address, _block(remote.address, begin, end), _BLOCK_TIMEOUTS * self.timeout
            )
            if len(piece) != end - begin:
                if piece:
                    yield piece[: end - begin]
                raise Transient("cut short")
            yield piece
        if not remote.is_still(now := self.look(remote.address)):
            raise Changed(remote, now)

    def find(self, pattern: str) -> list[Remote]:
        def ask() -> Mapping[str, Mapping[str, Any]]:
            files, path = _opened(pattern)
            files.invalidate_cache()
            found: Mapping[str, Mapping[str, Any]] = files.glob(path, detail=True)
            return found

        protocol = pattern.partition("://")[0]
        found = self._asked(pattern, ask, _BLOCK_TIMEOUTS * self.timeout)
        return [
            _described(f"{protocol}://{path.removeprefix(f'{protocol}://').lstrip('/')}", info)
            for path, info in sorted(found.items())
            if info.get("type") != "directory"
        ]

    def _asked(self, address: str, ask: Callable[[], T], seconds: float) -> T:
        try:
            return _within(seconds, ask)
        except SightwordError:
            raise
        except Exception as error:  # each store has classes of its own
            raise _judged(address, error) from error


def _opened(address: str) -> tuple[Any, str]:
    protocol = address.partition("://")[0].lower()
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise SightwordError(_missing(address, protocol)) from error
    except ValueError:
        raise unknown(
            f"protocol of '{address}':", protocol, {"http", "https", *known_implementations}
        ) from None
    files, path = url_to_fs(address)
    return files, path


def _missing(address: str, protocol: str) -> str:
    known = known_implementations[protocol]
    package = known["class"].partition(".")[0]
    if package == "fsspec":
        return f"'{address}' cannot be read: {known.get('err', 'a package is missing')}"
    return f"'{address}' needs the package {package}; install it with: python -m pip install {package}"


def _block(address: str, begin: int, end: int) -> Callable[[], bytes]:
    def ask() -> bytes:
        files, path = _opened(address)
        return bytes(files.cat_file(path, start=begin, end=end))

    return ask


def _described(address: str, info: Mapping[str, Any]) -> Remote:
    if info.get("type") == "directory":
        raise SightwordError(
            f"'{address}' is a folder; for all the tars in it write '{address.rstrip('/')}/*.tar'"
        )
    if not isinstance(info.get("size"), int):
        raise SightwordError(f"the store does not say how large '{address}' is; copy it to a local disk")
    return Remote(address, info["size"], next((_tag(info[name]) for name in _TAGS if info.get(name)), ""))


def _tag(value: object) -> str:
    """Listing a folder and asking for one file tell times in two forms."""
    if isinstance(value, datetime):
        value = value.timestamp()
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """An answer in time: not every store has timeouts of its own, and a daemon thread can be left behind."""
    answer = Future[T]()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # for the one who waits
            answer.set_exception(error)

    Thread(target=run, daemon=True, name="sightword-remote").start()
    return answer.result(seconds)


def _judged(address: str, error: Exception) -> Exception:
    """Whether a failure may pass. Unknown ones may: they are tried again a bounded number of times."""
    if isinstance(error, FileNotFoundError):
        return NotThere(f"'{address}' is not there; check the address")
    if isinstance(error, TimeoutError):
        return Transient("timed out")
    code = _status(error)
    lasting = (
        isinstance(error, _LASTING)
        or "Credentials" in type(error).__name__
        or str(error).startswith("Forbidden")
    )
    if lasting or (code is not None and 400 <= code < 500 and code not in _PASSING):
        said = " ".join(str(error).split()) or type(error).__name__
        return SightwordError(
            f"'{address}' cannot be read: {said[:300]}; check the address, your rights and login"
        )
    return Transient(f"HTTP {code}" if code else type(error).__name__)


def _status(error: Exception) -> int | None:
    """The HTTP status that an error of a store's library carries, if any."""
    response = getattr(error, "response", None)
    values = [getattr(error, name, None) for name in ("code", "status", "status_code")]
    for value in (*values, getattr(response, "status_code", None)):
        if str(value).isdecimal() and 100 <= int(str(value)) < 600:
            return int(str(value))
    return None
