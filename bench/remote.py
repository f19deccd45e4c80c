"""How fast shards on a web server are read, against the same on the local disk: `python bench/remote.py`.

A server process on the loopback serves tars of JPEG files; a reader takes the files of a run's batches in
their order, without decoding them. So what is measured is what fetching, caching and finding files cost; a
real network adds its own time, which fetching ahead hides as long as it is faster than training reads.
"""

from __future__ import annotations

import argparse
import functools
import io
import multiprocessing
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from _photographs import photographs
from _results import append

from sightword.pairs.base import Pairs
from sightword.pairs.order import Order
from sightword.pairs.remote.ahead import Ahead
from sightword.pairs.sources import open_pairs

BATCH, WINDOW = 64, 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=12)
    parser.add_argument("--pictures", type=int, default=400, help="of each shard")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SIGHTWORD_CACHE"] = f"{folder}/cache"
        os.environ["no_proxy"] = "127.0.0.1"
        size = write_shards(Path(folder, "shards"), given.shards, given.pictures)
        pattern = f"{{00000..{given.shards - 1:05d}}}.tar"
        print(f"{given.shards} shards of {given.pictures} files, {size / 1e6:.0f} MB in all")
        with serving(f"{folder}/shards") as url:
            rows = list(measured(Path(folder), f"{url}/{pattern}", f"{folder}/shards/{pattern}", size))
    append(given.out, "remote", rows, shards=given.shards, pictures=given.pictures, bytes=size)


def measured(folder: Path, address: str, path: str, size: int) -> Iterator[dict[str, Any]]:
    """Openings in seconds, epochs in megabytes a second."""
    for copy in folder.glob("shards/*.index.npz"):
        copy.unlink()
    for name, where in (("local", path), ("web", address)):
        for turn in ("first", "second"):
            seconds, pairs = timed(functools.partial(open_pairs, where))
            yield row(f"{name}, {turn} opening", seconds, size if turn == "first" else 0)
    local = open_pairs(path)
    assert local.data_hash == pairs.data_hash
    for name, source in (("local", local), ("web, every shard at hand", pairs)):
        for epoch in (0, 1):
            seconds, read = timed(functools.partial(read_epoch, source, epoch))
            yield row(f"{name}, epoch {epoch + 1}", seconds, read)
    for ahead in (False, True):
        for copy in folder.glob("cache/shards/*.tar"):
            copy.unlink()
        pairs = open_pairs(address)
        seconds, read = timed(functools.partial(read_epoch, pairs, 0, ahead))
        yield row(f"web, fetched {'ahead' if ahead else 'when needed'}", seconds, read)
        assert pairs.transfers.bytes == size


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the answer."""
    begun = time.perf_counter()
    answer = work()
    return time.perf_counter() - begun, answer


def row(name: str, seconds: float, size: int) -> dict[str, Any]:
    """A row, printed too."""
    speed = f"{size / seconds / 1e6:>8.0f} MB/s" if size else ""
    print(f"{name:<32}{seconds:>8.3f} s{speed}", flush=True)
    return {"setting": name, "seconds": seconds, "bytes": size}


def read_epoch(pairs: Pairs, epoch: int, look_ahead: bool = False) -> int:
    """Every file of an epoch in its order; tells how many bytes these were."""
    order = Order(pairs.counts, 0, WINDOW)
    steps = order.steps_per_epoch(BATCH)
    ahead, read = Ahead(pairs, order, BATCH, WINDOW), 0
    for step in range(epoch * steps, (epoch + 1) * steps):
        if look_ahead:
            ahead(step, (epoch + 1) * steps)
        read += sum(len(pairs[i].image) for i in order.batch(step, BATCH)[1].tolist())
    return read


def write_shards(folder: Path, shards: int, pictures: int) -> int:
    """Tars of photographs, some of them more than once; the bytes of all tars."""
    folder.mkdir()
    files = photographs(500, 375, 24)
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as tar:
            for number in range(shard * pictures, (shard + 1) * pictures):
                for name, content in (("jpg", files[number % 24]), ("txt", b"a photograph")):
                    info = tarfile.TarInfo(f"{number:08d}.{name}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return sum(path.stat().st_size for path in folder.glob("*.tar"))


@contextmanager
def serving(folder: str) -> Iterator[str]:
    """The address of a server process, while the context lasts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(folder, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def serve(folder: str, told: Connection) -> None:
    """A plain web server, which says its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Nothing."""

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with suppress(ConnectionError):  # somebody only wanted to know how large it is
                super().copyfile(source, outputfile)

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    told.send(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
