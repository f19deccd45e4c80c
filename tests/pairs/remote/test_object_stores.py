"""What fsspec reads, here from a store in memory that fails as others do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sightword.errors import SightwordError
from sightword.pairs.remote import object_stores as room
from sightword.pairs.remote.file import Changed, NotThere
from sightword.pairs.remote.object_stores import ObjectStores
from sightword.pairs.remote.patience import Transient

CONTENT = bytes(range(256)) * 400


class HttpError(Exception):
    """As gcsfs's: no OSError, with a status as a number or as text."""

    def __init__(self, code: int | str) -> None:
        super().__init__(f"status {code}")
        self.code = code


class NoCredentialsError(Exception):
    """As botocore's."""


class Fragile(MemoryFileSystem):
    """A store in memory with a fault."""

    protocol = "fragile"
    fault: Callable[[], object] = staticmethod(lambda: None)

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("fragile://"))

    def cat_file(self, *args, **kwargs):
        type(self).fault()
        return super().cat_file(*args, **kwargs)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(room, "_BLOCK", 10_000)
    fsspec.register_implementation("fragile", Fragile, clobber=True)
    fsspec.filesystem("fragile").pipe_file("/b/a.tar", CONTENT)
    yield "fragile://b/a.tar"
    monkeypatch.setattr(Fragile, "fault", staticmethod(lambda: None))
    fsspec.filesystem("fragile").rm("/b", recursive=True)


def fails_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fault() -> None:
        raise error

    monkeypatch.setattr(Fragile, "fault", staticmethod(fault))


@pytest.mark.parametrize("start", [0, 9_999, 10_000, 55_555, len(CONTENT)])
def test_any_end_of_a_file_is_read_in_blocks(address: str, start: int) -> None:
    stores = ObjectStores(2.0)
    pieces = list(stores.read(stores.look(address), start))
    assert b"".join(pieces) == CONTENT[start:]
    assert all(len(piece) <= 10_000 for piece in pieces)


def test_listing_and_looking_agree(address: str) -> None:
    stores = ObjectStores(2.0)
    assert stores.find("fragile://b/*.tar") == [stores.look(address)]
    assert stores.find("fragile://b/*.zip") == []


def test_a_file_that_changes_while_it_is_read_is_noticed(address: str) -> None:
    stores = ObjectStores(2.0)
    pieces = stores.read(stores.look(address), 0)
    next(pieces)
    fsspec.filesystem("fragile").pipe_file("/b/a.tar", CONTENT[::-1])
    with pytest.raises(Changed):
        list(pieces)


@pytest.mark.parametrize(
    "error",
    [
        OSError("reset"),
        ConnectionResetError(),
        TimeoutError(),
        HttpError(503),
        HttpError("429"),
        RuntimeError("of a library"),
    ],
)
def test_what_may_pass(address: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stores = ObjectStores(2.0)
    remote = stores.look(address)
    fails_with(monkeypatch, error)
    with pytest.raises(Transient):
        list(stores.read(remote, 0))


@pytest.mark.parametrize(
    "error",
    [
        PermissionError("no"),
        HttpError(403),
        HttpError("401"),
        OSError("Forbidden: https://..."),
        NoCredentialsError("Unable to locate credentials"),
        NotImplementedError(),
    ],
)
def test_what_lasts(address: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stores = ObjectStores(2.0)
    remote = stores.look(address)
    fails_with(monkeypatch, error)
    with pytest.raises(SightwordError, match="cannot be read"):
        list(stores.read(remote, 0))


def test_a_store_that_stands_still_is_left_behind(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stores, over = ObjectStores(0.05), threading.Event()
    remote = ObjectStores(2.0).look(address)
    monkeypatch.setattr(Fragile, "fault", staticmethod(over.wait))
    try:
        with pytest.raises(Transient, match="timed out"):
            list(stores.read(remote, 0))
    finally:
        over.set()


def test_a_short_answer_is_kept_and_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = ObjectStores(2.0)
    remote = stores.look(address)
    monkeypatch.setattr(Fragile, "cat_file", lambda self, path, start, end: CONTENT[start : end - 7])
    pieces = stores.read(remote, 0)
    assert next(pieces) == CONTENT[: 10_000 - 7]
    with pytest.raises(Transient, match="cut short"):
        next(pieces)


def test_what_is_not_there_or_is_a_folder(address: str) -> None:
    with pytest.raises(NotThere, match=r"'fragile://b/no\.tar' is not there"):
        ObjectStores(2.0).look("fragile://b/no.tar")
    with pytest.raises(SightwordError, match=r"write 'fragile://b/\*\.tar'"):
        ObjectStores(2.0).look("fragile://b")


def test_a_package_inside_fsspec_is_named() -> None:
    with pytest.raises(SightwordError, match="paramiko"):
        ObjectStores(2.0).look("sftp://host/a.tar")


def test_times_have_one_form() -> None:
    moment = datetime(2024, 5, 17, 12, 30, 15, 123456, tzinfo=UTC)
    infos = [{"type": "file", "size": 1, "mtime": value} for value in (moment, moment.timestamp())]
    first, second = (room._described("x://a", info) for info in infos)
    assert first == second
    assert room._described("x://a", {**infos[0], "ETag": '"e"'}).tag == '"e"'
