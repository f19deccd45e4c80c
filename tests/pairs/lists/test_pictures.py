from __future__ import annotations

import os
import signal
import threading
import zipfile

import pyarrow as pa
import pytest

from sightword.pairs.lists.pictures import ArrowTable, Latest, Pictures, UnreadableError, spans_of


def test_the_latest_are_kept_up_to_a_weight():
    made = []
    latest = Latest[int](10)

    def get(key: int) -> int:
        def make() -> int:
            made.append(key)
            return key

        return latest.get(key, make, lambda value: value)

    assert [get(key) for key in (4, 5, 4, 5)] == [4, 5, 4, 5]
    assert made == [4, 5]
    get(3)  # 4 goes: 5 was used later
    get(5)
    get(4)
    assert made == [4, 5, 3, 4]
    get(99)  # alone above the limit: kept all the same
    get(99)
    assert made == [4, 5, 3, 4, 99]


def test_a_lock_held_in_the_parent_does_not_stop_a_child():
    latest = Latest[int](1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with latest._lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(latest.get(0, lambda: 42))
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_zips_are_read_without_their_directory(tmp_path):
    path = str(tmp_path / "a.zip")
    content = {f"in/{number}": os.urandom(50 * number) for number in range(4)} | {"zeros": bytes(5000)}
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(content.items()):
            info = zipfile.ZipInfo(name)
            info.extra = b"\1\2\3\0abc" * (number % 2)  # moves the data behind the local header
            archive.writestr(info, data, zipfile.ZIP_DEFLATED if number % 2 == 0 else zipfile.ZIP_STORED)
        archive.writestr("odd", b"x" * 100, zipfile.ZIP_BZIP2)
    spans = spans_of(path)
    assert spans.keys() == content.keys()
    pictures = Pictures(((path, ""),))
    assert {name: pictures.from_zip(0, span) for name, span in spans.items()} == content
    with pytest.raises(UnreadableError, match="changed, or is damaged"):
        pictures.from_zip(0, spans["zeros"]._replace(offset=1))
    with pytest.raises(UnreadableError, match="checksum"):
        pictures.from_zip(0, spans["in/1"]._replace(crc=1))
    (tmp_path / "b.zip").write_bytes(b"PK nonsense")
    for bad in ("b.zip", "c.zip"):
        with pytest.raises(UnreadableError):
            spans_of(str(tmp_path / bad))


@pytest.mark.parametrize("new", [pa.ipc.new_stream, pa.ipc.new_file])
def test_arrow_streams_and_files_are_mapped(tmp_path, new):
    path = tmp_path / "x.arrow"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", kind)])
    with new(str(path), schema) as writer:
        for start in (0, 2):
            rows = [{"bytes": bytes([start + i]), "path": "p"} for i in range(2)]
            writer.write_batch(pa.record_batch([pa.array(rows, kind)], schema=schema))
    assert ArrowTable(str(path)).column(1, "image.path").to_pylist() == ["p", "p"]
    pictures = Pictures(((str(path), "image.bytes"),))
    assert [pictures.from_table(0, group, row) for group in (0, 1) for row in (0, 1)] == [
        b"\0", b"\1", b"\2", b"\3",
    ]  # fmt: skip
    for place in ((0, 5), (2, 0)):
        with pytest.raises(UnreadableError):
            pictures.from_table(0, *place)
