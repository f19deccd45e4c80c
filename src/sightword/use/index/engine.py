"""The index itself: faiss, exact for as long as that is quick, a graph of neighbours beyond.

faiss' own guidelines ("Guidelines to choose an index"): exact results are those of `Flat` alone; where memory
is no concern, `HNSW` with M links (`HNSWM`), which takes d * 4 + M * 2 * 4 bytes a vector; how many nodes a
search visits (`efSearch`) trades time for recall, so it is chosen by recall that is measured here.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, final

import numpy as np
from jaxtyping import Float, Int64

from sightword.errors import SightwordError
from sightword.evaluation.progress import watched
from sightword.use.index.graph_file import HEAD, INNER_PRODUCT, MARKS, check_graph

Kind = Literal["flat", "hnsw"]
EXACT = 1_000_000  # vectors up to which a search compares with every one
LINKS, BUILDING = 32, 64  # of HNSW: M and efConstruction
RECALL, AT = 0.95, 10  # of the ten nearest, the share that a search should find
_VISITED = (16, 32, 64, 128, 256, 512, 1024)  # efSearch, from quick to thorough
_ADDED = 10_000  # vectors added between two looks at the bar


def faiss() -> Any:
    """The library.

    Raises:
        SightwordError: it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise SightwordError(
            "an index of pictures needs the package faiss, which is not installed;"
            " run: pip install 'sightword[search]'"
        ) from error


@dataclass(frozen=True)
class Recall:
    """How much of what an exact search finds the index finds too.

    queries: how many were asked; `of` says what they were: captions or pictures of the index.
    share: of the `at` nearest, over all queries; 1 where every vector is compared.
    """

    share: float
    at: int
    queries: int
    of: str


@final
class Engine:
    """Vectors of length 1, searched by inner product.

    Args:
        index: faiss' own.
        kind: which one it is.
    """

    def __init__(self, index: Any, kind: Kind) -> None:
        self.index, self.kind = index, kind

    @classmethod
    def of(cls, vectors: Float[np.ndarray, "n d"], kind: Kind) -> Engine:
        """An index of these vectors."""
        library, width = faiss(), vectors.shape[1]
        if kind == "flat":
            made = cls(library.IndexFlatIP(width), kind)
        else:
            made = cls(library.IndexHNSWFlat(width, LINKS, library.METRIC_INNER_PRODUCT), kind)
            made.index.hnsw.efConstruction = BUILDING
        made.add(vectors)
        return made

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.index.d)

    def add(self, vectors: Float[np.ndarray, "n d"]) -> None:
        """Put more vectors behind those that are there."""
        starts = range(0, len(vectors), _ADDED)
        for start in watched(starts, max(1, len(vectors)), "linking neighbours", _ADDED):
            self.index.add(np.ascontiguousarray(vectors[start : start + _ADDED]))

    def vectors(self) -> Float[np.ndarray, "n d"]:
        """All vectors, as they were added."""
        found: np.ndarray = self.index.reconstruct_n(0, len(self))
        return found

    def visit(self, nodes: int) -> None:
        """How many nodes of the graph a search visits; of no meaning where all vectors are compared."""
        if self.kind == "hnsw":
            self.index.hnsw.efSearch = nodes

    def search(
        self, queries: Float[np.ndarray, "q d"], top: int
    ) -> tuple[Float[np.ndarray, "q k"], Int64[np.ndarray, "q k"]]:
        """Cosines and places of the nearest, the nearest first; as many as there are, `top` at most."""
        scores, places = self.index.search(np.ascontiguousarray(queries), min(top, len(self)))
        return scores, places

    def tune(self, queries: Float[np.ndarray, "q d"], of: str) -> tuple[int, Recall]:
        """Visit as few nodes as give the recall wanted; returns how many, and the recall measured."""
        at = min(AT, len(self))
        if self.kind == "flat":
            return 0, Recall(1.0, at, 0, of)
        library = faiss()
        _, exact = library.knn(queries, self.vectors(), at, metric=library.METRIC_INNER_PRODUCT)
        for nodes in _VISITED:
            self.visit(nodes)
            _, found = self.search(queries, at)
            same = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
            share = sum(same) / (at * len(queries))
            if share >= RECALL:
                break
        return nodes, Recall(share, at, len(queries), of)

    def write(self, file: BinaryIO) -> None:
        """faiss' own file."""
        library = faiss()
        library.write_index(self.index, library.PyCallbackIOWriter(file.write))


def read(path: Path, kind: Kind, count: int, width: int, check: Callable[[], None]) -> Engine:
    """The index in a file.

    faiss believes what a file says of its sizes and links, so all that the file can say is looked at first.
    `check` finds the whole file to be what was written.

    Raises:
        SightwordError: it is not an index of this kind with so many vectors of that width.
    """
    library = faiss()
    with path.open("rb") as file:
        head = file.read(HEAD.size + 8)
    if not _fits(head, path.stat().st_size, kind, count, width):
        raise SightwordError(f"'{path}' is not a {kind} index of {count:,} vectors of {width} numbers")
    check()
    try:
        if kind == "hnsw":
            check_graph(path, count, width, LINKS)
        return Engine(library.read_index(str(path)), kind)
    except ValueError as error:
        raise SightwordError(
            f"'{path}' is no graph of {count:,} vectors of {width} numbers: {error}"
        ) from error
    except RuntimeError as error:
        raise SightwordError(f"'{path}' cannot be read by faiss: {str(error).splitlines()[-1]}") from error


def _fits(head: bytes, size: int, kind: Kind, count: int, width: int) -> bool:
    if len(head) < HEAD.size + 8:
        return False
    mark, *own, _, _, trained, metric = HEAD.unpack(head[: HEAD.size])
    if (mark, *own, trained, metric) != (MARKS[kind], width, count, True, INNER_PRODUCT):
        return False
    floats = width * count
    if kind == "hnsw":
        return size > 4 * floats
    return struct.unpack("<q", head[HEAD.size :]) == (floats,) and size == len(head) + 4 * floats
