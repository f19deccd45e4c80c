"""Files of graphs that faiss would follow anywhere: each lie is found before faiss reads it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.use.index import engine
from sightword.use.index.engine import LINKS, Engine
from sightword.use.index.graph_file import HEAD, check_graph

pytest.importorskip("faiss", reason="faiss is not installed")
COUNT, WIDTH = 400, 8


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    vectors = np.random.default_rng(0).standard_normal((COUNT, WIDTH)).astype(np.float32)
    path = tmp_path_factory.mktemp("graph") / "graph.faiss"
    with path.open("wb") as file:
        Engine.of(vectors, "hnsw").write(file)
    return path.read_bytes()


def lists_of(content: bytes) -> dict[str, int]:
    """Where the numbers of each list begin, and what follows them, by walking over their lengths."""
    at, places = HEAD.size, {}
    for name, size in (("chances", 8), ("slots", 4), ("levels", 4), ("starts", 8), ("links", 4)):
        (length,) = struct.unpack_from("<Q", content, at)
        places[name] = at + 8
        at += 8 + size * length
    return places | {"last": at, "vectors": at + 20}


def opened(path: Path, content: bytes) -> Engine:
    path.write_bytes(content)
    return engine.read(path, "hnsw", COUNT, WIDTH, lambda: None)


def test_what_faiss_wrote_is_read(graph: bytes, tmp_path: Path) -> None:
    levels = np.frombuffer(graph, "<i4", COUNT, lists_of(graph)["levels"])
    assert levels.max() > 1  # there is an upper level to look at
    found = opened(tmp_path / "graph.faiss", graph)
    vectors = found.vectors()
    found.visit(COUNT)
    assert (found.search(vectors, 1)[1][:, 0] == np.argmax(vectors @ vectors.T, axis=1)).mean() > 0.95
    check_graph(tmp_path / "graph.faiss", COUNT, WIDTH, LINKS)


def put(name: str, form: str, value: int, place: int = 0) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        at = lists_of(content)[name] + struct.calcsize(form) * place
        return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]

    return changed


def upper_link_down(content: bytes) -> bytes:
    """A link of an upper level leads to a node that is on the lowest only."""
    places = lists_of(content)
    levels = np.frombuffer(content, "<i4", COUNT, places["levels"])
    starts = np.frombuffer(content, "<u8", COUNT + 1, places["starts"])
    high, low = int(np.flatnonzero(levels > 1)[0]), int(np.flatnonzero(levels == 1)[0])
    return put("links", "<i", low, int(starts[high]) + 2 * LINKS)(content)


LIES = {
    "a link beyond the end": (put("links", "<i", COUNT, 3), "a link leads to no node"),
    "a link before the beginning": (put("links", "<i", -2, 3), "a link leads to no node"),
    "a link to a lower level": (upper_link_down, "a level where its node is not"),
    "a node on a high level": (put("levels", "<i", 99, 5), "on a level that there is not"),
    "a node on no level": (put("levels", "<i", 0, 5), "on a level that there is not"),
    "links elsewhere": (put("starts", "<Q", 1 << 40, 7), "not where they belong"),
    "other slots": (put("slots", "<i", 1 << 30, 1), "other numbers of links"),
    "an endless list": (put("links", "<Q", 1 << 60, -1), "a list is longer than it can be"),
    "a short list": (put("links", "<Q", 64, -1), "links are missing"),
    "an entry that is none": (put("last", "<i", COUNT), "begin at no node"),
    "an entry on another level": (put("last", "<i", 17, 1), "begin on another level"),
    "endless building": (put("last", "<i", 1 << 30, 2), "no nodes, or too many"),
    "no vectors within": (put("vectors", "<i", 7), "no flat index of their own"),
    "cut in the links": (lambda content: content[: len(content) // 2], "is not a hnsw|longer than it can be"),
    "cut vectors": (lambda content: content[:-4], "vectors are missing"),
    "bytes behind": (lambda content: content + b"more", "vectors are missing"),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_found(graph: bytes, tmp_path: Path, lie: str) -> None:
    harm, message = LIES[lie]
    harmed = harm(graph)
    assert harmed != graph
    with pytest.raises(SightwordError, match=message) as error:
        opened(tmp_path / "graph.faiss", harmed)
    assert "\n" not in str(error.value)
