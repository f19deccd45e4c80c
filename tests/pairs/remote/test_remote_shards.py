"""Remote shards as a whole: what is read is what lies there, whatever the network does."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from flaky_server import Behaviour, serving

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.reading import Reading
from sightword.pairs.remote import listing
from sightword.pairs.remote.patience import Patience
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import CORPUS
from sightword.pairs.tars.survey import survey


def same(pairs: Pairs, local: Pairs) -> bool:
    return [pairs[i] for i in range(len(pairs))] == [local[i] for i in range(len(local))]


@pytest.fixture
def reading(quick: Patience) -> Reading:
    return Reading(patience=quick)


@pytest.fixture
def local(shards: Path) -> Pairs:
    return open_pairs(str(shards))


@pytest.fixture
def memory(shards: Path) -> Iterator[str]:
    """The same shards in fsspec's store in memory."""
    store = fsspec.filesystem("memory")
    for path in shards.glob("*.tar"):
        store.pipe_file(f"/cc/{path.name}", path.read_bytes())
    yield "memory://cc"
    store.rm("/cc", recursive=True)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("tags", [True, False])
def test_a_bad_network_changes_nothing(
    shards: Path, local: Pairs, reading: Reading, ranges: bool, tags: bool
) -> None:
    behaviour = Behaviour(shards, rate=0.5, ranges=ranges, tags=tags)
    with serving(behaviour) as url:
        pairs = open_pairs(url + "/{00000..00004}.tar", reading=reading)
        assert pairs.counts == local.counts
        assert pairs.data_hash == local.data_hash
        assert list(pairs.keys) == list(local.keys)
        assert same(pairs, local)
    failures = pairs.transfers.failures
    assert sum(behaviour.failed.values()) >= 3
    assert pairs.transfers.shards == 5
    assert set(failures) <= {
        "HTTP 500",
        "HTTP 503",
        "HTTP 429",
        "ECONNRESET",
        "RemoteDisconnected",
        "cut short",
    }


def test_an_opened_set_is_known_the_second_time(shards: Path, local: Pairs, reading: Reading) -> None:
    behaviour = Behaviour(shards)
    with serving(behaviour) as url:
        where = url + "/{00000..00004}.tar"
        open_pairs(where, reading=reading)
        assert [behaviour.bodies(f"{n:05d}.tar") for n in range(5)] == [1] * 5
        for copy in (Path(p) for p in (shards.parent / "cache" / "shards").glob("*.tar")):
            copy.unlink()  # indices outlive the copies
        behaviour.requests.clear()
        again = open_pairs(where, reading=reading)
        assert {asked for _, asked in behaviour.requests} == {"bytes=0-0"}
        assert again.data_hash == local.data_hash
        assert again[31] == local[31]
        assert [behaviour.bodies(f"{n:05d}.tar") for n in range(5)] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("pattern", ["{m}/{{00000..00004}}.tar", "{m}/*.tar", "{m}/", "{m}/0000[0-4].tar"])
def test_fsspec_reads_object_stores(memory: str, local: Pairs, reading: Reading, pattern: str) -> None:
    pairs = open_pairs(pattern.format(m=memory), reading=reading)
    assert pairs.data_hash == local.data_hash
    assert same(pairs, local)


def test_local_and_remote_are_joined(shards: Path, memory: str, local: Pairs, reading: Reading) -> None:
    with serving(Behaviour(shards)) as url:
        pairs = open_pairs(f"{shards}/00003.tar::{url}/00001.tar::{memory}/00000.tar", reading=reading)
        assert [pairs[i].fields["number"] for i in (0, 30, 60)] == [90, 30, 0]
        sizes = [(shards / f"{name}.tar").stat().st_size for name in ("00001", "00000")]
        assert list(pairs.remote_bytes) == [0, *sizes]
        assert pairs.transfers.shards == 2
        assert pairs.transfers.bytes == sum(sizes)


def _read(pairs: Pairs, start: int) -> list[str]:
    return [pairs[(start + i * 37) % len(pairs)].key for i in range(200)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_cache_that_is_too_small(
    shards: Path, local: Pairs, quick: Patience, method: str
) -> None:
    """Two shards fit: the others are removed and fetched again, under the hands of those who read them."""
    bound = 2.2 * (shards / "00000.tar").stat().st_size / 2**30
    behaviour = Behaviour(shards, rate=0.1)
    with serving(behaviour) as url:
        pairs = open_pairs(
            url + "/{00000..00004}.tar", reading=Reading(shard_cache_gib=bound, patience=quick)
        )
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(3 if method == "fork" else 1, context) as pool:
            found = [pool.submit(_read, pairs, start) for start in range(4)]
            assert [f.result(60) for f in found] == [_read(local, start) for start in range(4)]
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda start: _read(pairs, start), range(4))) == [
                _read(local, start) for start in range(4)
            ]
        kept = list((shards.parent / "cache" / "shards").glob("*.tar"))
        assert len(kept) <= 2
        assert pairs.transfers.shards > 5


def test_no_shard_is_fetched_twice(shards: Path, local: Pairs, reading: Reading) -> None:
    behaviour = Behaviour(shards, delay=0.05)
    with serving(behaviour) as url:
        where = url + "/{00000..00004}.tar"
        with ProcessPoolExecutor(3, multiprocessing.get_context("fork")) as pool:
            hashes = [pool.submit(_hash, where, reading) for _ in range(3)]
            assert {f.result(60) for f in hashes} == {local.data_hash}
        assert [behaviour.bodies(f"{n:05d}.tar") for n in range(5)] == [1] * 5


def _hash(where: str, reading: Reading) -> str:
    return open_pairs(where, reading=reading).data_hash


def test_pickled_without_anything_open(shards: Path, local: Pairs, reading: Reading) -> None:
    with serving(Behaviour(shards)) as url:
        pairs = open_pairs(url + "/{00000..00004}.tar", reading=reading)
        pairs.prefetch(range(5))
        assert same(pickle.loads(pickle.dumps(pairs)), local)


def refused(where: str, reading: Reading) -> str:
    with pytest.raises(SightwordError) as error:
        open_pairs(where, reading=reading)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_read_is_one_clear_line(shards: Path, reading: Reading) -> None:
    with serving(Behaviour(shards)) as url:
        said = refused(url + "/{00003..00008}.tar", reading)
        assert (
            f"4 of the 6 shards of '{url}/{{00003..00008}}.tar' are missing, first '{url}/00005.tar'" in said
        )
        assert "is not there" in refused(url + "/no.tar", reading)
        assert "do not list" in refused(url + "/*.tar", reading)
        assert "compressed" in refused(url + "/00000.tar.gz", reading)
        (shards / "empty.tar").write_bytes(b"")
        assert "is empty" in refused(url + "/empty.tar", reading)
        (shards / "text.tar").write_bytes(b"hello" * 1000)
        assert f"'{url}/text.tar' is not a tar" in refused(url + "/text.tar", reading)
    assert "python -m pip install s3fs" in refused("s3://bucket/0.tar", reading)
    assert "python -m pip install gcsfs" in refused("gs://bucket/{0..3}.tar", reading)
    assert "did you mean" in refused("htps://host/0.tar", reading)
    assert "give the address itself" in refused("pipe:curl https://host/0.tar", reading)
    assert "is not there" in refused("memory://nothing/0.tar", reading)
    assert "no file matches" in refused("memory://nothing/*.tar", reading)


def test_a_file_address_is_a_local_path(shards: Path, local: Pairs) -> None:
    assert open_pairs(f"file://{shards}/*.tar").data_hash == local.data_hash


@pytest.mark.parametrize(("status", "says"), [(403, "signed address"), (401, "login"), (400, "HTTP 400")])
def test_what_lasts_is_not_tried_again(shards: Path, reading: Reading, status: int, says: str) -> None:
    behaviour = Behaviour(shards, always=status)
    with serving(behaviour) as url:
        assert says in refused(url + "/00000.tar", reading)
        assert len(behaviour.requests) == 1


def test_a_server_that_never_works_is_given_up(shards: Path) -> None:
    behaviour = Behaviour(shards, always=503)
    with serving(behaviour) as url:
        said = refused(url + "/00000.tar", Reading(patience=Patience(tries=4, pause=0.01)))
        assert "4 failures in a row (4 HTTP 503)" in said
        assert len(behaviour.requests) == 4


def test_a_server_that_stands_still_is_asked_again(shards: Path, local: Pairs) -> None:
    behaviour = Behaviour(shards, stalls=2)
    with serving(behaviour) as url:
        pairs = open_pairs(
            url + "/{00000..00004}.tar", reading=Reading(patience=Patience(pause=0.01, timeout=0.2))
        )
        assert same(pairs, local)
        assert behaviour.failed == {"stall": 2}


def test_a_shard_that_changes_is_refused_and_examined_anew(
    shards: Path, make_pairs, reading: Reading
) -> None:
    with serving(Behaviour(shards)) as url:
        where = url + "/{00000..00004}.tar"
        pairs = open_pairs(where, reading=reading)
        assert pairs[0].caption == "caption 0"
        for copy in (shards.parent / "cache" / "shards").glob("*.tar"):
            copy.unlink()
        make_pairs("served/00001.tar", 30, 1030)
        with pytest.raises(SightwordError, match=r"00001\.tar' has changed since the data set was opened"):
            pairs[30]
        assert pairs[60].caption == "caption 60"
        assert open_pairs(where, reading=reading)[30].caption == "caption 1030"


def test_an_index_beside_the_shards_saves_fetching_and_looking(
    shards: Path, local: Pairs, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT", 2)
    index = survey([str(shards / f"{n:05d}.tar") for n in range(5)], str(shards)).index
    (shards / CORPUS).write_bytes(index.packed())
    behaviour = Behaviour(shards)
    with serving(behaviour) as url:
        where = url + "/{00000..00004}.tar"
        pairs = open_pairs(where, reading=reading)
        assert pairs.data_hash == local.data_hash
        looked_at = {path for path, _ in behaviour.requests}
        assert looked_at == {"/00000.tar", "/00004.tar", f"/{CORPUS}"}
        assert same(pairs, local)
        # Another shard of the same size in the place of one that nobody looked at: its digest tells.
        shutil.copy(shards / "00003.tar", shards / "00002.tar")
        for copy in (shards.parent / "cache" / "shards").glob("*.tar"):
            copy.unlink()
        for known in (shards.parent / "cache" / "index").glob("*.npz"):
            known.unlink()
        again = open_pairs(where, reading=reading)
        with pytest.raises(SightwordError, match=r"00002\.tar' has changed"):
            again[60]


def test_an_interrupted_opening_goes_on(shards: Path, local: Pairs, tmp_path: Path) -> None:
    """Killed in the middle of its first opening, it fetches only the rest the second time."""
    behaviour = Behaviour(shards, slow=0.02)
    with serving(behaviour) as url:
        where = url + "/{00000..00004}.tar"
        program = f"from sightword.pairs.sources import open_pairs; open_pairs({where!r})"
        first = subprocess.Popen([sys.executable, "-c", program])
        end = time.monotonic() + 60
        while behaviour.sent < 200_000:
            assert first.poll() is None
            assert time.monotonic() < end
            time.sleep(0.005)
        first.kill()
        first.wait()
        behaviour.slow = 0.0
        time.sleep(0.1)
        before = behaviour.sent
        pairs = open_pairs(where)
        assert same(pairs, local)
        whole = sum(path.stat().st_size for path in shards.glob("*.tar"))
        assert pairs.transfers.bytes < whole - 100_000
        assert behaviour.sent - before < whole - 100_000
