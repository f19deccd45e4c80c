from __future__ import annotations

import zlib

import numpy as np
import pytest
from corpora_on_disk import picture, put, put_npy

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs


def test_cc3m_by_slips_array(tmp_path):
    put_npy(
        tmp_path / "cc3m.npy",
        [
            {"image_id": 1510438788, "captions": ["tulips", "pink tulips"]},
            {"image_id": 7, "captions": ["a dead link"]},
            {"image_id": "../secret.jpg", "captions": ["outside"]},
            {"image_id": None, "captions": ["no name"]},
            {"image_id": np.int64(8), "captions": np.array(["a", "b"])},
            {"image_id": "sub/9.jpg", "captions": []},
        ],
    )
    put(tmp_path.parent / "secret.jpg", b"private")
    for name in ("1510438788", "8", "sub/9.jpg"):
        put(tmp_path / name, picture(len(name)))
    pairs = open_pairs(f"cc3m:{tmp_path}")
    assert list(pairs.keys) == ["1510438788", "8"]
    assert [sample.captions for sample in pairs.texts()] == [("tulips", "pink tulips"), ("a", "b")]
    assert pairs[0].image == picture(10)
    report = pairs.report
    assert (report.without_picture, report.bad_rows, report.without_caption) == (2, 1, 1)


def test_cc12m_by_slips_array(tmp_path):
    row = {"image_name": "0.jpg", "image_id": 0, "captions": ["Metal Chairs"]}
    put_npy(tmp_path / "cc12m.npy", [row, {**row, "image_name": "1.jpg"}])
    put(tmp_path / "elsewhere" / "0.jpg", picture(3))
    with pytest.raises(SightwordError, match=r"holds no pair \(2 without picture\).*--image-root"):
        open_pairs(f"cc12m:{tmp_path}")
    pairs = open_pairs(f"cc12m:{tmp_path}", reading=Reading(image_root=str(tmp_path / "elsewhere")))
    assert (pairs[0].key, pairs[0].captions, pairs[0].image) == ("0", ("Metal Chairs",), picture(3))


def _colliding() -> tuple[str, str]:
    """Two addresses with one CRC-32: 65,536 texts have a pair with it as often as not."""
    seen: dict[int, str] = {}
    for number in range(10**6):
        address = f"http://x.org/{number * 2654435761 % 2**32:08x}/{number}.jpg"
        twin = seen.setdefault(zlib.crc32(address.encode()), address)
        if twin != address:
            return twin, address
    raise AssertionError("no two alike")


def test_cc3m_by_the_published_tables(tmp_path):
    twins = _colliding()
    urls = ["http://a.org/1.jpg", "http://b.org/2", "http://dead.org/", *twins]
    lines = [f"caption {n}\t{url}\n" for n, url in enumerate(urls)] + ["no address\n"]
    put(tmp_path / "Train_GCC-training.tsv", "".join(lines).encode())
    put(tmp_path / "Validation_GCC-1.1.0-Validation.tsv", b"held out\thttp://c.org\n")
    for number, url in enumerate(urls):
        if "dead" not in url:
            put(
                tmp_path / "training" / f"{zlib.crc32(url.encode())}{'.png' * (number == 1)}", picture(number)
            )
    put(tmp_path / "validation" / str(zlib.crc32(b"http://c.org")), picture(77))
    pairs = open_pairs(f"cc3m:{tmp_path}", "train")
    assert [sample.captions for sample in pairs.texts()] == [("caption 0",), ("caption 1",)]
    assert [pairs[0].image, pairs[1].image] == [picture(0), picture(1)]
    report = pairs.report
    assert (report.without_picture, report.duplicates, report.bad_rows) == (1, 2, 1)
    assert [sample.caption for sample in open_pairs(f"cc3m:{tmp_path}", "val").texts()] == ["held out"]
    assert len(open_pairs(f"cc3m:{tmp_path}")) == 3


def test_cc12m_by_the_published_table(tmp_path):
    put(tmp_path / "cc12m.tsv", "http://a.org\ta caf\u00e9\n".encode())
    put(tmp_path / "images" / f"{zlib.crc32(b'http://a.org')}.jpg", picture(1))
    pairs = open_pairs(f"cc12m:{tmp_path}")
    assert (pairs[0].caption, pairs[0].fields["url"]) == ("a caf\u00e9", "http://a.org")


def test_img2datasets_shards_need_no_layout(tmp_path, make_pairs):
    make_pairs("00000.tar", 3)
    with pytest.raises(SightwordError, match=f"need no layout, use --data '{tmp_path}'"):
        open_pairs(f"cc12m:{tmp_path}")
    assert len(open_pairs(str(tmp_path))) == 3
