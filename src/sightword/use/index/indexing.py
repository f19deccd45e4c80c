"""An index of a source's pictures, made or brought up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int64

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.remote.locks import if_free
from sightword.training.model import Model
from sightword.use.index import engine
from sightword.use.index.about import FORMAT, About, File, Made
from sightword.use.index.engine import Engine, Kind
from sightword.use.index.features import Encoding, Found, vectors_of
from sightword.use.index.folder import SCHEMA, Opened, is_new, open_index, write_index
from sightword.use.index.known import Unfinished
from sightword.use.index.stock import Stock, remembered, settled, take_stock

_ASKED = 200  # queries that recall is measured with
_LOCK = ".lock"


@dataclass(frozen=True)
class IndexOptions:
    """How an index is made.

    split: only pairs whose field `split` says so.
    reading: how tables are read.
    exact: up to how many pictures a search compares with every one.
    """

    split: str = ""
    reading: Reading = field(default_factory=lambda: Reading(captionless=True))
    exact: int = engine.EXACT


def index_pictures(
    data: str, model: Model, run: str, out: Path, options: IndexOptions = IndexOptions(),
    say: Callable[[str], None] = print,
) -> About:  # fmt: skip
    """Make an index, or bring one up to date: only new and changed pictures are encoded.

    Args:
        data: the pictures, as `open_pairs` takes them; captions are shown with what is found.
        model: whose features are indexed.
        run: where it lies, for searches to come.
        out: the index's folder. When this is cut short, the same call goes on.
        say: told what a user should know.

    Raises:
        SightwordError: the index is of another model or another source, is damaged or being written; no
            picture can be read; faiss is not installed; or as `open_pairs`.
    """
    engine.faiss()
    begun, fresh = time.monotonic(), is_new(out)
    stock = _stock(data, options, say) if fresh else None  # pictures that cannot be opened leave no folder
    try:
        with if_free(out / _LOCK) as free:
            if not free:
                raise SightwordError(
                    f"another process is writing the index '{out}'; wait for it, or give another --out"
                )
            before = None if fresh else open_index(out)
            if before is not None:
                _same(before.about, data, model, options, out)
            stock = stock or _stock(data, options, say)
            return _made(_Job(data, model, run, out, options, stock, before, begun))
    except OSError as error:
        raise SightwordError(
            f"cannot write into '{out}' ({error.strerror}); free some space, or give another --out, and call"
            " this again: it goes on"
        ) from error


@dataclass(frozen=True, eq=False)
class _Job:
    data: str
    model: Model
    run: str
    out: Path
    options: IndexOptions
    stock: Stock
    before: Opened | None
    begun: float


def _stock(data: str, options: IndexOptions, say: Callable[[str], None]) -> Stock:
    stock = take_stock(data, options.split, options.reading)
    for note in stock.pairs.notes:
        say(note)
    left_out = stock.pairs.report.left_out()
    if left_out:
        say(f"left out of {data}: {left_out}; sightword data check names each")
    return stock


def _made(job: _Job) -> About:
    aside = Unfinished(job.out, job.model.weights_hash, job.stock.pairs.data_hash, _width(job.model))
    found = Encoding(job.model, job.stock, aside.known(job.before), aside).run(f"features of {job.data}")
    about = _write(job, found)
    aside.remove()
    return about


def _width(model: Model) -> int:
    """Numbers of a vector, by asking."""
    black = np.zeros((1, 1, 3), dtype=np.uint8)
    return vectors_of(model, model.preparation([black])).shape[1]


def _same(about: About, data: str, model: Model, options: IndexOptions, out: Path) -> None:
    """An index of something else is not overwritten: that would cost hours of somebody's work."""
    other = f"give another --out, or remove '{out}' first"
    if about.weights_hash != model.weights_hash:
        raise SightwordError(
            f"the index '{out}' is of the model {about.name} ({about.weights_hash}), not of {model.name}"
            f" ({model.weights_hash}); {other}"
        )
    was = (about.data, about.split, about.reading)
    if was != (settled(data), options.split, remembered(options.reading)):
        words = f"'{about.data}'" + (f" split {about.split}" if about.split else "")
        raise SightwordError(f"the index '{out}' is of {words}, read in its own way; {other}")


def _write(job: _Job, found: Found) -> About:
    order, grown = _order(job, found)
    if not len(order):
        key, reason = [*found.bad, ("", "there is none")][0]
        raise SightwordError(f"no picture of '{job.data}' can be read; first {key}: {reason}")
    in_place = np.array_equal(order, np.arange(len(found.vectors)))
    vectors = found.vectors if in_place else found.vectors[order]  # a copy of a million is gigabytes
    kind: Kind = "flat" if len(order) <= job.options.exact else "hnsw"
    made, changed = _engine(job.before, kind, vectors, grown)
    visited, recall = made.tune(*_queries(job, vectors, order))
    held: Engine | File = made if changed or job.before is None else job.before.about.vectors
    bad = [*job.stock.pairs.unreadable, *found.bad]
    counts = _counts(job, found, order, len(bad))

    def about(vectors: File, pictures: File) -> About:
        model, options = job.model, job.options
        return About(
            format=FORMAT, kind=kind, count=len(order), width=made.width, visited=visited,
            joint=model.has_text, run=settled(job.run), name=model.name,
            weights_hash=model.weights_hash, data=settled(job.data),
            split=options.split, reading=remembered(options.reading), data_hash=job.stock.pairs.data_hash,
            vectors=vectors, pictures=pictures, recall=recall, made=counts, notes=list(job.stock.pairs.notes),
        )  # fmt: skip

    return write_index(job.out, about, held, _table(job.stock, found, order), bad)


def _order(job: _Job, found: Found) -> tuple[Int64[np.ndarray, " n"], int]:
    """Pictures in the order of their vectors: those of the old index in its order, then all others.

    The second number says how many stand where they stood: as many as the old index had, or 0 when one of
    them is gone or was changed, and the index has to be made anew.
    """
    count = job.before.about.count if job.before is not None else 0
    readable = [number for number, stamp in enumerate(found.stamps) if stamp]
    old = sorted((found.origin[n], n) for n in readable if 0 <= found.origin[n] < count)
    new = [n for n in readable if not 0 <= found.origin[n] < count]
    order = np.array([*(n for _, n in old), *new], dtype=np.int64)
    return order, count if len(old) == count else 0


def _engine(
    before: Opened | None, kind: Kind, vectors: Float[np.ndarray, "n d"], grown: int
) -> tuple[Engine, bool]:
    """The index, and whether it is another than before."""
    if before is None or before.engine.kind != kind or not grown:
        return Engine.of(vectors, kind), True
    before.engine.add(vectors[grown:])
    return before.engine, len(vectors) > grown


def _queries(
    job: _Job, vectors: Float[np.ndarray, "n d"], order: Int64[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "q d"], str]:
    """Captions where there are some, which lie elsewhere in the space than pictures do; else pictures."""
    spread = np.unique(np.linspace(0, len(order) - 1, _ASKED).astype(np.int64))
    said = [job.stock.captions[number] for number in order[spread].tolist()]
    captions = list(dict.fromkeys(caption for caption in said if caption))
    if len(order) <= job.options.exact:
        return vectors[:0], "captions"
    if job.model.has_text and captions:
        return job.model.encode_text(captions).numpy(), "captions"
    return vectors[spread], "pictures"


def _counts(job: _Job, found: Found, order: Int64[np.ndarray, " n"], bad: int) -> Made:
    before = set(job.before.pictures.column("key").to_pylist()) if job.before is not None else set[str]()
    keys = [job.stock.keys[number] for number in order.tolist()]
    origin = [found.origin[number] for number in order.tolist()]
    encoded = [key for key, row in zip(keys, origin, strict=True) if row < 0]
    changed = sum(key in before for key in encoded)
    return Made(
        new=len(encoded) - changed,
        changed=changed,
        kept=len(keys) - len(encoded),
        removed=len(before.difference(keys)),
        unreadable=bad,
        seconds=round(time.monotonic() - job.begun, 3),
    )


def _table(stock: Stock, found: Found, order: Int64[np.ndarray, " n"]) -> pa.Table:
    numbers: Sequence[int] = order.tolist()
    columns = (stock.keys, stock.paths, stock.captions, range(len(stock)), found.stamps)
    return pa.table([[column[i] for i in numbers] for column in columns], schema=SCHEMA)
