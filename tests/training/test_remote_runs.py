"""A run sees the same batches from a local disk and from a bad network, with any number of workers."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from flaky_server import Behaviour, serving
from PIL import Image
from small_shard import write_tar
from tiny_runs import SIMCLR, opened

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.remote.ahead import Ahead
from sightword.pairs.remote.patience import Patience
from sightword.pairs.sources import open_pairs
from sightword.training.feed import Steps
from sightword.training.supply import load_steps
from sightword.words import Batch

SHARDS, EACH, STEPS, WINDOW = 5, 16, 12, 2  # 10 steps are an epoch
PATTERN = "/{00000..00004}.tar"


class Seen(NamedTuple):
    """All of a batch that training reads."""

    step: int
    epochs: tuple[int, ...]
    ids: tuple[int, ...]
    keys: tuple[str, ...]
    captions: tuple[tuple[int, ...], ...]
    views: str
    bad: tuple[tuple[str, str], ...]


def seen(batch: Batch) -> Seen:
    views = hashlib.sha256()
    for view, images in batch.views.items():
        views.update(repr(view).encode() + images.numpy().tobytes())
    (words,) = batch.captions.values()
    captions = tuple(map(tuple, words.ids.tolist()))
    epochs, ids = tuple(batch.epochs.tolist()), tuple(batch.ids.tolist())
    return Seen(batch.step, epochs, ids, batch.keys, captions, views.hexdigest(), batch.bad)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of noise, with one file that is no picture."""
    folder, random = tmp_path_factory.mktemp("served"), np.random.default_rng(0)
    for number in range(SHARDS):
        members = {}
        for i in range(EACH * number, EACH * (number + 1)):
            buffer = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(buffer, "PNG")
            members[f"{i:04}.png"] = b"no picture" if i == 33 else buffer.getvalue()
            members[f"{i:04}.txt"] = f"a thing that looks like {i}".encode()
        write_tar(folder / f"{number:05}.tar", members)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def steps(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return opened(tmp_path_factory.mktemp("run") / "run", folder, f"clip + {SIMCLR}").steps(None)


@pytest.fixture(scope="module")
def wanted(steps: Steps) -> list[Seen]:
    found = [seen(steps[step]) for step in range(STEPS)]
    assert {epoch for batch in found for epoch in batch.epochs} == {0, 1}
    assert {key for batch in found for key, _ in batch.bad} == {"0033"}
    return found


def from_network(steps: Steps, url: str, gib: float = 1.0) -> Steps:
    reading = Reading(shard_cache_gib=gib, patience=Patience(pause=0.02, longest=0.1, timeout=1.0))
    pairs = open_pairs(url + PATTERN, reading=reading)
    assert pairs.data_hash == steps.pairs.data_hash
    return replace(steps, pairs=pairs, _texts={})


def run(steps: Steps, workers: int) -> Iterator[Seen]:
    """As training does: workers first, then what comes next is fetched ahead of them."""
    ahead = Ahead(steps.pairs, steps.order, steps.batch_size, WINDOW)
    with load_steps(steps, 0, STEPS, workers, cuda=False) as batches:
        ahead(0, STEPS)
        for batch in batches:
            ahead(batch.step + 1, STEPS)
            yield seen(batch)


@pytest.mark.parametrize("workers", [1, 4])
def test_from_a_local_disk(steps: Steps, wanted: list[Seen], workers: int) -> None:
    assert list(run(steps, workers)) == wanted


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_that_disappear_end_a_run_with_one_line(
    steps: Steps, folder: Path, tmp_path: Path, workers: int
) -> None:
    behaviour = Behaviour(folder)
    with serving(behaviour) as url:
        remote = from_network(steps, url)
        for copy in (tmp_path / "cache" / "shards").glob("*.tar"):
            copy.unlink()
        behaviour.always = 404
        with pytest.raises(SightwordError, match=r"/0000\d\.tar' is not there \(HTTP 404\)") as error:
            list(run(remote, workers))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("room", "workers"), [("for all", 0), ("for all", 1), ("for all", 4), ("for two", 0), ("for two", 4)]
)
def test_from_a_server_that_fails_one_request_in_ten(
    steps: Steps, wanted: list[Seen], folder: Path, workers: int, room: str
) -> None:
    """With room for two shards, those of a window just fit, and every epoch fetches all again."""
    gib = 1.0 if room == "for all" else 2.1 * (folder / "00000.tar").stat().st_size / 2**30
    behaviour = Behaviour(folder, rate=0.1, stalls=1, seed=workers)
    with serving(behaviour) as url:
        remote = from_network(steps, url, gib)
        assert list(run(remote, workers)) == wanted
        transfers = remote.pairs.transfers
        assert transfers.shards == SHARDS if room == "for all" else transfers.shards > SHARDS
