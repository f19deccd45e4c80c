from __future__ import annotations

import io
import logging

import numpy as np
import pytest
import torch
from photos import photo
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from sightword.errors import BadSample
from sightword.views.named import strong
from sightword.views.native.library import current
from sightword.views.pipeline import make_views
from sightword.views.store import MIB, DecodedStore


def files(shapes: list[tuple[int, int]]) -> list[bytes]:
    out = []
    for seed, shape in enumerate(shapes):
        buffer = io.BytesIO()
        Image.fromarray(photo(*shape, seed)).save(buffer, "PNG")
        out.append(buffer.getvalue())
    return out


def filled(data: list[bytes], budget: float = 64.0) -> DecodedStore:
    store = DecodedStore.load(data.__getitem__, [f"k{i}" for i in range(len(data))], budget, threads=3)
    assert store is not None
    return store


@pytest.mark.parametrize("native", ["0", "1"])
def test_pictures_of_one_size_come_as_one_tensor_unless_the_kernel_takes_them_from_where_they_lie(
    native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTWORD_NATIVE", native)
    store = filled(files([(20, 30)] * 700))  # more than one chunk
    ids = np.array([699, 0, 3, 3])
    images = store.gather(ids)
    assert isinstance(images, list if current() is not None else torch.Tensor)
    assert len(store) == 700
    assert store.mib == pytest.approx(700 * 1800 / MIB)
    for image, i in zip(images, ids.tolist(), strict=True):
        assert np.array_equal(np.asarray(image), photo(20, 30, i))


def test_pictures_of_many_sizes_come_as_a_list() -> None:
    shapes = [(20, 30), (7, 5), (64, 33)]
    images = filled(files(shapes)).gather(np.array([2, 0]))
    assert isinstance(images, list)
    assert np.array_equal(images[0], photo(64, 33, 2))
    assert np.array_equal(images[1], photo(20, 30, 0))


@pytest.mark.parametrize("shapes", [[(20, 30)] * 4, [(20, 30), (8, 8), (9, 9), (20, 31)]])
def test_bad_samples_are_remembered_and_the_rest_is_there(shapes: list[tuple[int, int]]) -> None:
    data = files(shapes)
    data[1] = data[1][:60]
    store = filled(data)
    assert list(store.bad) == [1]
    assert store.bad[1][0] == "k1"
    assert np.array_equal(np.asarray(store.gather(np.array([3]))[0]), photo(*shapes[3], 3))
    with pytest.raises(BadSample, match="k1: not a readable picture"):
        store.gather(np.array([0, 1]))


def test_a_reader_may_call_a_sample_bad_itself() -> None:
    def read(sample: int) -> bytes:
        raise BadSample(f"k{sample}", "no such member")

    store = DecodedStore.load(read, ["k0", "k1"], 1.0)
    assert store is not None
    assert store.bad == {0: ("k0", "no such member"), 1: ("k1", "no such member")}


def test_too_many_pictures_for_the_budget_are_not_stored_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, asked = files([(64, 64)] * 8) * 200, []

    def read(sample: int) -> bytes:
        asked.append(sample)
        return data[sample]

    with caplog.at_level(logging.WARNING):
        assert DecodedStore.load(read, [str(i) for i in range(1600)], 1.0) is None
    assert "more than 1 MiB" in caplog.text
    assert len(asked) < 1600  # it gave up early
    assert DecodedStore.load(read, [str(i) for i in range(1600)], 20.0) is not None


def test_an_empty_store() -> None:
    assert len(filled([])) == 0


class FromStore(Dataset[torch.Tensor]):
    def __init__(self, store: DecodedStore) -> None:
        self.store = store

    def __getitem__(self, index: int) -> torch.Tensor:
        ids = np.arange(4) + 4 * index
        return make_views(self.store.gather(ids), [strong(16)], 0, ids, 0)[strong(16)]

    def __len__(self) -> int:
        return 2


def test_worker_processes_see_the_same_memory() -> None:
    store = filled(files([(24, 24)] * 8))
    assert store.shared
    here = [FromStore(store)[i] for i in range(2)]
    loader = DataLoader(FromStore(store), batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(torch.stack(here), torch.stack(list(loader)))
