from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from flaky_server import Behaviour, serving

from sightword.errors import SightwordError
from sightword.pairs.remote import cache as room
from sightword.pairs.remote.cache import GIB, ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.patience import Patience
from sightword.pairs.remote.stores import store_of


@pytest.fixture
def behaviour(shards: Path):
    behaviour = Behaviour(shards)
    with serving(behaviour) as behaviour.url:
        yield behaviour


def remotes(behaviour: Behaviour) -> list[Remote]:
    return [store_of(behaviour.url, 2.0).look(f"{behaviour.url}/{n:05d}.tar") for n in range(5)]


def kept(own_cache: Path) -> set[str]:
    return {path.stem for path in (own_cache / "shards").glob("*.tar")}


def whole(path: Path) -> bytes:
    return path.read_bytes()


def test_the_one_used_longest_ago_makes_room(behaviour, quick: Patience, own_cache: Path) -> None:
    a, b, c, d, e = remotes(behaviour)
    cache = ShardCache((a.size + b.size + c.size + 10) / GIB, quick)

    def used(*which: Remote) -> None:
        for second, remote in enumerate(which):
            os.utime(own_cache / "shards" / f"{remote.key}.tar", (second, second))

    for remote in (a, b, c):
        cache.fetch(remote)
    used(a, b, c)
    tar = cache.open(a)  # the oldest, used just now
    cache.fetch(d)
    assert kept(own_cache) == {a.key, c.key, d.key}
    used(a, c, d)
    cache.wanted([c, a])
    cache.fetch(e)
    assert kept(own_cache) == {a.key, c.key, e.key}
    used(a, c, e)
    cache.fetch(b)
    assert kept(own_cache) == {b.key, c.key, e.key}
    assert tar.removed
    assert tar.read(0, a.size) == whole(behaviour.folder / "00000.tar")  # open, it is read on


def test_a_copy_that_somebody_damaged_is_fetched_again(behaviour, quick: Patience, own_cache: Path) -> None:
    remote = remotes(behaviour)[0]
    cache = ShardCache(1.0, quick)
    cache.fetch(remote)
    copy = own_cache / "shards" / f"{remote.key}.tar"
    copy.write_bytes(copy.read_bytes()[:1000])
    assert cache.open(remote).read(0, remote.size) == whole(behaviour.folder / "00000.tar")


@pytest.mark.parametrize("tags", [True, False])
def test_a_transfer_goes_on_where_the_last_process_left_it(
    behaviour, quick: Patience, own_cache: Path, tags: bool
) -> None:
    """But only where a tag says that it is the same file still."""
    behaviour.tags = tags
    remote = remotes(behaviour)[0]
    content = whole(behaviour.folder / "00000.tar")
    part = own_cache / "shards" / f"{remote.key}.{remote.size}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:70_000] if tags else b"an older one")
    behaviour.requests.clear()
    cache = ShardCache(1.0, quick)
    assert cache.open(remote).read(0, remote.size) == content
    assert behaviour.requests == [("/00000.tar", "bytes=70000-" if tags else "")]
    assert not part.exists()
    assert cache.journal.total().bytes == len(content) - (70_000 if tags else 0)


def test_another_file_of_the_same_name_is_refused_and_leaves_nothing(
    behaviour, quick: Patience, own_cache: Path
) -> None:
    remote = remotes(behaviour)[0]
    part = own_cache / "shards" / f"{remote.key}.{remote.size}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100)
    os.utime(behaviour.folder / "00000.tar", (1, 1))  # another tag
    with pytest.raises(SightwordError, match="has changed since the data set was opened"):
        ShardCache(1.0, quick).fetch(remote)
    assert not list((own_cache / "shards").glob("*.part"))


def test_a_full_disk_names_the_folder_to_choose(behaviour, quick: Patience, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    remote = remotes(behaviour)[0]
    monkeypatch.setattr("sightword.pairs.remote.receiving._write", full)
    with pytest.raises(SightwordError, match=r"No space left on device.*set SIGHTWORD_CACHE") as error:
        ShardCache(1.0, quick).fetch(remote)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_named(behaviour, quick: Patience, own_cache: Path) -> None:
    own_cache.write_text("a file")
    with pytest.raises(SightwordError, match="set SIGHTWORD_CACHE"):
        ShardCache(1.0, quick).fetch(remotes(behaviour)[0])


def test_a_shard_larger_than_the_bound_is_still_read(behaviour, quick: Patience, own_cache: Path) -> None:
    first, second, *_ = remotes(behaviour)
    cache = ShardCache(10 / GIB, quick)
    assert cache.open(first).read(0, 100)
    assert cache.open(second).read(0, 100)
    assert kept(own_cache) == {second.key}


def test_every_transfer_is_a_line_of_the_journal(behaviour, quick: Patience, own_cache: Path) -> None:
    first, second, *_ = remotes(behaviour)
    behaviour.rate, behaviour.seed = 0.5, 3
    cache, other = ShardCache(1.0, quick), ShardCache(1.0, quick)
    cache.fetch(first)
    cache.fetch(second)
    other.fetch(second)  # is there
    (own_cache / "shards" / f"{second.key}.tar").unlink()
    other.fetch(second)
    lines = [json.loads(line) for line in (own_cache / "shards" / "transfers.jsonl").open()]
    assert [(line["address"], line["whole"]) for line in lines] == [
        (remote.address, True) for remote in (first, second, second)
    ]
    total = cache.journal.total()
    assert (total.shards, total.bytes) == (2, first.size + second.size)
    assert other.journal.total().shards == 1
    failed = sum(sum(line["failures"].values()) for line in lines)
    assert failed == sum(behaviour.failed.values())
    assert failed == sum((total + other.journal.total()).failures.values())
    assert f"{sum(total.failures.values())} failures" in str(total) or "no failure" in str(total)


def test_a_holder_that_stands_still_is_told(behaviour, own_cache: Path, monkeypatch) -> None:
    monkeypatch.setattr(Patience, "longest_silence", 0.1)
    remote = remotes(behaviour)[0]
    cache = ShardCache(1.0, Patience())
    with (
        room.locked(own_cache / "shards" / "locks" / remote.key[:3], 1.0),
        pytest.raises(SightwordError, match="another process, which stands still"),
    ):
        cache.fetch(remote)
