"""Pictures of every odd kind, held against Pillow's own reading; and what is no picture, refused in words."""

from __future__ import annotations

import io
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import odd_files as odd
import pytest
import simplejpeg
from odd_files import PHOTO, encoded
from PIL import Image, ImageCms, ImageOps
from small_shard import write_tar
from tiny_runs import tiny

from sightword.corpora.checking.check import check
from sightword.corpora.packing.encoding import Encoding
from sightword.corpora.packing.pack import pack
from sightword.corpora.packing.pack_plan import PackOptions
from sightword.errors import BadSample
from sightword.pairs.sources import open_pairs
from sightword.training.loop import train
from sightword.views.decode import decode
from sightword.views.files import views_of_files
from sightword.views.pipeline import make_views
from sightword.words import View

IMAGE = Image.fromarray(PHOTO)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FRAMES = [Image.new("RGB", (20, 12), colour) for colour in ("red", "blue", "lime")]
FADED = IMAGE.convert("RGBA")
FADED.putalpha(Image.linear_gradient("L").resize(IMAGE.size))

GOOD = {
    "baseline.jpg": encoded(IMAGE, "JPEG"),
    "progressive.jpg": encoded(IMAGE, "JPEG", progressive=True),
    "411.jpg": simplejpeg.encode_jpeg(PHOTO, colorsubsampling="411"),
    "440.jpg": simplejpeg.encode_jpeg(PHOTO, colorsubsampling="440"),
    "gray.jpg": encoded(IMAGE.convert("L"), "JPEG"),
    "cmyk.jpg": encoded(IMAGE.convert("CMYK"), "JPEG"),
    "ycck.jpg": odd.ycck(IMAGE),
    "adobe-rgb.jpg": encoded(IMAGE, "JPEG", keep_rgb=True),
    "profile.jpg": encoded(IMAGE, "JPEG", icc_profile=PROFILE),
    "profile.png": encoded(IMAGE, "PNG", icc_profile=PROFILE),
    "garbage-after.jpg": encoded(IMAGE, "JPEG") + b"<html>" * 99,
    "scans.jpg": odd.many_scans(64, 48, 30),
    "one-bit.png": encoded(IMAGE.convert("1"), "PNG"),
    "palette.png": encoded(IMAGE.quantize(16), "PNG"),
    "palette-transparent.png": encoded(IMAGE.quantize(16), "PNG", transparency=3),
    "gray-alpha.png": encoded(FADED.convert("LA"), "PNG"),
    "alpha.png": encoded(FADED, "PNG"),
    "alpha.webp": encoded(FADED, "WEBP", lossless=True),
    "lossy.webp": encoded(IMAGE, "WEBP"),
    "still.gif": encoded(IMAGE.quantize(64), "GIF"),
    "animated.gif": encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "animated.webp": encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], lossless=True),
    "animated.png": encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "frames.tif": encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
    "deflate.tif": encoded(IMAGE, "TIFF", compression="tiff_adobe_deflate"),
    "bitmap.bmp": encoded(IMAGE, "BMP"),
    "icon.ico": encoded(FADED.resize((32, 32)), "ICO"),
    "column.png": encoded(Image.fromarray(PHOTO[:, :1]).resize((1, 5000)), "PNG"),
    "row.png": encoded(Image.fromarray(PHOTO[:1]).resize((5000, 1)), "PNG"),
    "column.jpg": encoded(Image.fromarray(PHOTO[:, :1]).resize((1, 5000)), "JPEG"),
    "row.jpg": encoded(Image.fromarray(PHOTO[:1]).resize((5000, 1)), "JPEG"),
    "dot.jpg": encoded(Image.new("RGB", (1, 1), "red"), "JPEG"),
    "png-called.jpg": encoded(IMAGE, "PNG"),
    "jpeg-called.png": encoded(IMAGE, "JPEG"),
    **{
        f"turned-{o}.{kind.lower()}": odd.turned(kind, o)
        for kind in ("JPEG", "WEBP", "PNG")
        for o in range(1, 9)
    },
}
BAD = {
    "empty.jpg": (b"", "the file is empty"),
    "html.jpg": (b"<!doctype html><title>404</title>", "of no known format"),
    "text.png": (b"nothing to see here", "of no known format"),
    "vector.jpg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "of no known format"),
    "program.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "of no known format"),
    "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "not a readable picture"),
    "garbage-before.jpg": (b"\r\n" + encoded(IMAGE, "JPEG"), "of no known format"),
    "head-alone.jpg": (encoded(IMAGE, "JPEG")[:20], "not a readable picture"),
    "nothing-in-it.png": (odd.claiming("PNG", 0, 10), "not a readable picture|nothing in it"),
    "long.jpg": (odd.many_scans(3000, 3000, 300), "scans .* would take too long"),
    **{
        f"bomb-{width}.{kind.lower()}": (odd.claiming(kind, width, width), "pixels")
        for kind, width in (
            ("PNG", 50_000),
            ("JPEG", 65_535),
            ("GIF", 65_535),
            ("WEBP", 16_383),
            ("BMP", 60_000),
        )
    },
}


def pillows(data: bytes) -> np.ndarray:
    """RGB as Pillow alone reads it: upright, the first frame, on white."""
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_picture_is_what_pillow_reads(name: str) -> None:
    ours, theirs = decode(GOOD[name], name), pillows(GOOD[name])
    assert ours.shape == theirs.shape
    away = np.abs(ours.astype(int) - theirs)
    assert away.max() <= (4 if GOOD[name][:2] == b"\xff\xd8" else 0)
    assert ours.std() > 1 or "dot" in name or "animated" in name or "scans" in name or "frames" in name


@pytest.mark.parametrize("native", ["", "0"])
def test_their_views_are_those_of_pillows_pixels(monkeypatch: pytest.MonkeyPatch, native: str) -> None:
    monkeypatch.setenv("SIGHTWORD_NATIVE", native)
    view, ids = (
        View(30, scale=(0.6, 1.0), flip=0.5),
        np.arange(len(GOOD)),
    )  # not so small that JPEGs are halved
    made = views_of_files(list(GOOD.values()), list(GOOD), [view], 3, ids, np.zeros_like(ids))
    assert not made.bad
    theirs = make_views([pillows(data) for data in GOOD.values()], [view], 3, ids, 0)[view]
    for name, one, other in zip(GOOD, made.views[view].numpy(), theirs.numpy(), strict=True):
        away = np.abs(one.astype(int) - other)
        assert away.mean() <= (1.0 if GOOD[name][:2] == b"\xff\xd8" else 0.01), name


@pytest.mark.parametrize("levels", [np.arange(48 * 64 * 3).reshape(48, 64, 3) * 7 % 65_536])
def test_sixteen_bits_a_channel_become_their_upper_eight(levels: np.ndarray) -> None:
    pixels = decode(odd.png_of_16_bits(levels), "deep")
    assert np.array_equal(pixels, levels >> 8)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused_soon_and_in_words(name: str) -> None:
    data, reason = BAD[name]
    begun = time.process_time()
    with pytest.raises(BadSample, match=reason) as error:
        decode(data, name)
    assert time.process_time() - begun < 1.0
    assert "\n" not in error.value.reason
    assert error.value.key == name


@pytest.mark.parametrize("native", ["", "0"])
def test_the_bad_ones_of_a_batch_are_named_and_the_good_ones_kept(
    monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    monkeypatch.setenv("SIGHTWORD_NATIVE", native)
    files = {**{name: data for name, (data, _) in BAD.items()}, **GOOD}
    ids = np.arange(len(files))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        made = views_of_files(list(files.values()), list(files), [View(8)], 0, ids, np.zeros_like(ids))
    assert {error.key for error in made.bad.values()} == BAD.keys()
    assert sorted(made.bad) == list(range(len(BAD)))


@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning")
@pytest.mark.parametrize("tenths", range(1, 10))
@pytest.mark.parametrize(
    "name",
    [
        "baseline.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "palette.png",
        "lossy.webp",
        "still.gif",
        "bitmap.bmp",
        "deflate.tif",
    ],
)
def test_what_is_cut_short_is_never_a_picture(name: str, tenths: int) -> None:
    data = GOOD[name]
    with pytest.raises(BadSample, match=r"^cut: not a readable picture: .+"):
        decode(data[: len(data) * tenths // 10], "cut")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_broken_exif_costs_no_picture() -> None:
    plain = encoded(IMAGE, "JPEG")
    for content in (
        b"II*\0" + b"\xff" * 60,
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\xff\xff\xff\xff\0\0\0\0",
        b"",
    ):
        exif = b"Exif\0\0" + content
        data = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
        assert np.array_equal(decode(data, "a"), decode(plain, "a"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """One shard of all that is odd, good and bad."""
    members = {}
    for number, (name, data) in enumerate(
        {**{name: data for name, (data, _) in BAD.items()}, **GOOD}.items()
    ):
        stem, _, kind = name.partition(".")
        key = f"{number:02}-{stem}"
        members[f"{key}.{kind if kind in ('jpg', 'png', 'webp', 'gif', 'bmp', 'tif') else 'jpg'}"] = data
        members[f"{key}.txt"] = f"the picture {stem}".encode()
    return write_tar(tmp_path / "odd.tar", members)


KEYS = {f"{number:02}-{name.partition('.')[0]}" for number, name in enumerate(BAD)}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_training_names_exactly_the_bad_ones(corpus: Path, tmp_path: Path) -> None:
    config = tiny(tmp_path / "run", corpus, steps=0, epochs=2.0)
    out = train(replace(config, data=replace(config.data, max_bad=0.5)), say=lambda said: None)
    lines = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert {line["key"] for line in lines} == KEYS
    assert all(line["reason"] and "\n" not in line["reason"] for line in lines)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_check_lists_exactly_the_bad_ones(corpus: Path, tmp_path: Path) -> None:
    told = check(str(corpus), tmp_path / "check")
    found = [json.loads(line) for line in (tmp_path / "check/check.jsonl").read_text().splitlines()]
    assert {one["key"] for one in found if one["kind"] == "unreadable"} == KEYS
    assert told.exit_code == 1
    assert {one["key"].partition("-")[2] for one in found if one["kind"] == "tiny"} == {
        "column",
        "row",
        "dot",
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("resize", [0, 16])
def test_packing_leaves_out_exactly_the_bad_ones(corpus: Path, tmp_path: Path, resize: int) -> None:
    options = PackOptions(verify=True, max_bad=0.5, processes=1, encoding=Encoding(resize=resize))
    pack(str(corpus), tmp_path / "out", options)
    lines = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    assert {json.loads(line)["key"] for line in lines} == KEYS
    packed, whole = open_pairs(str(tmp_path / "out")), open_pairs(str(corpus))
    assert set(packed.keys) == set(whole.keys) - KEYS
    before = {sample.key: sample.image for sample in (whole[i] for i in range(len(whole)))}
    for sample in (packed[i] for i in range(len(packed))):
        if not resize:
            assert sample.image == before[sample.key]
        else:
            height, width = pillows(sample.image).shape[:2]
            assert min(height, width) <= 16
            tall, broad = pillows(before[sample.key]).shape[:2]
            assert height / width == pytest.approx(tall / broad, rel=0.1) or min(height, width) == 1
