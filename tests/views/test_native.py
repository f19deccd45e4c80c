from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import fuzz_native
import numpy as np
import pytest
import simplejpeg
import torch
from photos import photo
from PIL import Image
from sklearn.datasets import load_sample_images

from sightword.views import named
from sightword.views.decode import MAX_PIXELS, decode
from sightword.views.drawn import draw
from sightword.views.files import Made, views_of_files
from sightword.views.native import library as native_library
from sightword.views.native.kernel import eighths, views_of_jpegs, views_of_pixels
from sightword.views.native.library import WIDEST, Library, current
from sightword.views.pipeline import make_views
from sightword.words import View

KERNEL = current()
needs_kernel = pytest.mark.skipif(KERNEL is None, reason="the native kernel was not built here")
needs_jpeg = pytest.mark.skipif(KERNEL is None or KERNEL.jpeg is None, reason="no kernel, or no libjpeg 6.2")
LEVELS = range(WIDEST + 1)
VIEWS = (
    named.language(40),
    named.strong(40, 0),
    named.strong(64, 1, blur_at=64),
    named.asymmetric(33, 1),
    named.asymmetric(224, 0),
    named.local_crop(96),
)


def kernel(level: int = WIDEST) -> Library:
    assert KERNEL is not None
    return replace(KERNEL, level=level)


def portable(monkeypatch: pytest.MonkeyPatch, make: object, *args: object) -> object:
    with monkeypatch.context() as patch:
        patch.setenv("SIGHTWORD_NATIVE", "0")
        return make(*args)  # type: ignore[operator]


def mixed(count: int) -> list[np.ndarray]:
    odd = [photo(1, 50, 0), photo(70, 1, 1), photo(1, 1, 2), photo(2, 3, 3), photo(700, 31, 4)]
    return odd + [photo(20 + 37 * i % 350, 20 + 53 * i % 370, i) for i in range(count - len(odd))]


@needs_kernel
@pytest.mark.parametrize("view", VIEWS)
def test_decoded_pictures_give_the_portable_pixels_to_the_bit(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, ids, epochs = mixed(40), np.arange(40) * 7, np.arange(40) % 3
    expected = portable(monkeypatch, make_views, images, [view], 3, ids, epochs)[view]  # type: ignore[index]
    for level in LEVELS:
        made = views_of_pixels(kernel(level), images, [view], 3, ids, epochs)[view]
        assert torch.equal(made, expected), kernel(level).instructions


@needs_kernel
def test_make_views_goes_through_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from sightword.views import pipeline

    monkeypatch.setattr(pipeline, "cut", None)  # the portable way would fail
    made = make_views(mixed(8), [VIEWS[0]], 0, np.arange(8), 0)[VIEWS[0]]
    assert made.float().std() > 20


def saved(pixels: np.ndarray | Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, "JPEG", **{"quality": 92, **options})
    return buffer.getvalue()


def halved_440(pixels: np.ndarray) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 92, colorsubsampling="440")


KINDS = {
    "4:4:4": lambda x: saved(x, subsampling=0),
    "4:2:2": lambda x: saved(x, subsampling=1),
    "4:2:0": lambda x: saved(x, subsampling=2),
    "4:4:0": halved_440,
    "gray": lambda x: saved(Image.fromarray(x).convert("L")),
    "progressive": lambda x: saved(x, progressive=True),
    "restarts": lambda x: saved(x, restart_marker_blocks=3),
    "coarse": lambda x: saved(x, quality=35),
    "fine": lambda x: saved(x, quality=100, subsampling=0),
}
SIDES = ((61, 83), (64, 48), (1, 37), (41, 1), (3, 4), (1, 1), (5, 160), (97, 34))


def planes(file: bytes) -> list[np.ndarray]:
    """What libjpeg stores, by way of Pillow: Y, and Cb and Cr as they are once doubled, in float64."""
    with Image.open(io.BytesIO(file)) as image:
        image.draft("YCbCr" if image.mode == "RGB" else "L", image.size)
        return [np.asarray(one).astype(np.float64) for one in image.split()]


def triangle_weights(start: int, length: int, inputs: int, size: int) -> np.ndarray:
    """A dense matrix (size, inputs): every input's distance from every output under the triangle."""
    scale = max(length / size, 1.0)
    centres = start + (np.arange(size)[:, None] + 0.5) * length / size
    places = np.arange(inputs)[None] + 0.5
    weights = np.maximum(0, 1 - np.abs(places - centres) / scale)
    weights *= (places > start) & (places < start + length)
    return weights / weights.sum(axis=1, keepdims=True)


def by_definition(file: bytes, crop: Sequence[int], flipped: bool, size: int) -> np.ndarray:
    """A view in float64: each plane resized by dense matrices, then JFIF's colours, rounded once."""
    top, left, height, width = crop
    resized = []
    for plane in planes(file):
        down = triangle_weights(top, height, plane.shape[0], size)
        across = triangle_weights(left, width, plane.shape[1], size)
        resized.append(down @ plane @ across.T)
    if len(resized) == 1:
        resized += [np.full((size, size), 128.0)] * 2
    y, cb, cr = resized[0], resized[1] - 128, resized[2] - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    return (rgb[:, :, ::-1] if flipped else rgb).clip(0, 255)


@needs_jpeg
@pytest.mark.parametrize("kind", KINDS)
def test_jpegs_are_within_a_level_of_the_definition(kind: str) -> None:
    """Where colours are doubled, Pillow's planes are rounded once more: half a level, 1.772 times in blue."""
    view = View(size=24, scale=(0.2, 1.0), flip=0.5)
    files = [KINDS[kind](photo(*sides, i)) for i, sides in enumerate(SIDES)]
    ids, epochs = np.arange(len(files)), np.zeros(len(files), dtype=np.int64)
    crops = draw(view, np.array(SIDES), 5, ids, epochs)
    made = [views_of_jpegs(kernel(level), files, [view], 5, ids, epochs, MAX_PIXELS)[:2] for level in LEVELS]
    assert all(taken.all() for _, taken in made)
    assert all(torch.equal(made[0][0][view], other[view]) for other, _ in made[1:])
    doubled = kind not in ("4:4:4", "gray", "fine")
    for row, file in enumerate(files):
        expected = by_definition(file, crops.crops[row].tolist(), bool(crops.flipped[row]), view.size)
        away = np.abs(made[0][0][view][row].numpy() - expected)
        assert away.max() <= (0.5 + 0.9 if doubled else 0.5) + 0.15, SIDES[row]
        assert away.mean() < 0.4


def cuttings(contrast: float) -> list[bytes]:
    """Cut from the two photographs that scikit-learn ships, all subsamplings in turn."""
    rng = np.random.default_rng(0)
    files = []
    for i in range(12):
        pixels = load_sample_images().images[i % 2] * contrast + 128 * (1 - contrast)
        top, left = rng.integers(0, 27), rng.integers(0, 140)
        image = Image.fromarray(pixels.astype(np.uint8)).crop((left, top, left + 500, top + 400))
        files.append(saved(image.resize((300, 240), Image.Resampling.LANCZOS), subsampling=(i // 2) % 3))
    return files


@pytest.fixture(scope="module")
def photographs() -> list[bytes]:
    return cuttings(1.0)


def both(
    monkeypatch: pytest.MonkeyPatch, files: Sequence[bytes], view: View, epoch: int = 0
) -> tuple[Made, Made]:
    keys, ids = [f"k{i}" for i in range(len(files))], np.arange(len(files)) * 3
    args = files, keys, [view], 1, ids, np.full(len(files), epoch)
    return views_of_files(*args), portable(monkeypatch, views_of_files, *args)  # type: ignore[return-value]


@needs_jpeg
def test_jpegs_look_as_when_they_are_decoded_first(
    photographs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a level where no pixel is clipped at 0 or 255, which decoding does before pixels are resized."""
    view = View(size=160, scale=(0.2, 1.0), flip=0.5)  # too large for files to be decoded smaller
    away = differences(monkeypatch, cuttings(0.5), view)
    assert (away <= 1).mean() > 0.999
    assert away.max() <= 2
    away = differences(monkeypatch, photographs, view)
    assert (away <= 1).mean() > 0.985
    assert away.mean() < 0.4
    away = differences(monkeypatch, photographs, named.strong(160, blur_at=160))
    assert (away <= 2).mean() > 0.98
    assert away.mean() < 0.5


def differences(monkeypatch: pytest.MonkeyPatch, files: Sequence[bytes], view: View) -> np.ndarray:
    ours, theirs = both(monkeypatch, files, view)
    return np.abs(ours.views[view].numpy().astype(int) - theirs.views[view].numpy())


def large_photo(height: int, width: int, seed: int) -> np.ndarray:
    """As large pictures are: smooth where small ones are detailed, with a grain of its own."""
    smooth = Image.fromarray(photo(50, 60, seed)).resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, 3))
    return (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)


@needs_jpeg
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_large_files_are_decoded_smaller_and_look_the_same(
    factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shorter side has at least twice `factor` times the view's pixels, but not twice as many."""
    view = View(size=30, scale=(0.8, 1.0), flip=0.5)
    sides = 70 * factor, 80 * factor
    files = [saved(large_photo(*sides, i), subsampling=i % 3) for i in range(6)]
    away = differences(monkeypatch, files, view)
    assert away.mean() < 1.5
    assert away.max() > 2  # it was indeed decoded smaller
    fine = replace(view, size=36 * factor)  # needs every pixel: no scaling, so the exact colours again
    assert differences(monkeypatch, files, fine).mean() < 0.6


@needs_jpeg
def test_a_view_does_not_depend_on_the_views_beside_it() -> None:
    """One is made of a small decoding and the other of the whole file, alone or together."""
    files, ids, epochs = [saved(photo(240, 240, 0))], np.arange(1), np.zeros(1, dtype=np.int64)
    whole = View(size=20, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    large = View(size=200, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    alone = views_of_jpegs(kernel(), files, [whole], 0, ids, epochs, MAX_PIXELS)[0][whole]
    beside = views_of_jpegs(kernel(), files, [whole, large], 0, ids, epochs, MAX_PIXELS)[0]
    assert torch.equal(alone, beside[whole])
    exact = by_definition(files[0], (0, 0, 240, 240), False, 200)
    assert np.abs(beside[large][0].numpy() - exact).max() < 1.6


def test_the_share_that_is_decoded() -> None:
    sizes = np.array(
        [[640, 480], [447, 9000], [895, 895], [896, 1200], [1791, 1791], [1792, 2000], [9000, 9000]]
    )
    assert eighths(View(size=224), sizes).tolist() == [8, 8, 8, 4, 4, 2, 1]
    assert eighths(View(size=96, scale=(0.05, 0.4)), sizes).tolist() == [8, 8, 4, 4, 2, 2, 1]


@needs_jpeg
def test_rows_do_not_depend_on_batch_or_threads(photographs: list[bytes]) -> None:
    view = named.strong(64, blur_at=64)
    keys, ids = [str(i) for i in range(12)], np.random.default_rng(1).permutation(100)[:12]
    epochs = np.arange(12) % 4
    whole = views_of_files(photographs, keys, [view], 1, ids, epochs).views[view]
    for threads in (2, 3, 40):
        again = views_of_files(photographs, keys, [view], 1, ids, epochs, threads).views[view]
        assert torch.equal(whole, again)
    for i in (0, 7):
        part = slice(i, i + 1)
        one = views_of_files(photographs[part], keys[part], [view], 1, ids[part], epochs[part]).views[view]
        assert torch.equal(whole[part], one)
    order = np.random.default_rng(2).permutation(12)
    shuffled = [photographs[i] for i in order]
    other = views_of_files(shuffled, keys, [view, VIEWS[0]], 1, ids[order], epochs[order]).views[view]
    assert torch.equal(whole[torch.from_numpy(order)], other)


@needs_jpeg
def test_other_files_among_jpegs_are_made_the_portable_way(
    photographs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image.fromarray(photo(60, 90, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    png, webp = io.BytesIO(), io.BytesIO()
    image.save(png, "PNG")
    image.save(webp, "WEBP")
    others = [
        saved(image, exif=exif),
        png.getvalue(),
        saved(image.convert("CMYK")),
        webp.getvalue(),
        saved(image, keep_rgb=True, subsampling=0),
    ]
    files = [photographs[0], *others, photographs[1]]
    ours, theirs = both(monkeypatch, files, VIEWS[1])
    assert not ours.bad
    assert torch.equal(ours.views[VIEWS[1]][1:6], theirs.views[VIEWS[1]][1:6])
    upright = Image.Exif()
    upright[0x0112] = 1
    taken = views_of_jpegs(
        kernel(), [saved(image, exif=upright)], [], 0, np.arange(1), np.zeros(1, int), MAX_PIXELS
    )[1]
    assert taken.all()


@needs_jpeg
@pytest.mark.filterwarnings("ignore:Image size:Warning:PIL")
def test_the_same_files_are_bad_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [*fuzz_native.broken(400, 11), b"", b"\xff\xd8", b"nothing"]
    view = View(size=8)
    ours, theirs = both(monkeypatch, files, view)
    assert {row: str(error) for row, error in ours.bad.items()} == {
        row: str(error) for row, error in theirs.bad.items()
    }
    assert 60 < len(ours.bad) < 340
    bad = torch.tensor(sorted(ours.bad))
    assert (ours.views[view][bad] == 0).all()


@needs_jpeg
def test_the_limit_of_pixels_holds_before_decoding() -> None:
    file, view = saved(photo(50, 60, 0)), View(size=8)
    for limit, taken in ((3000, True), (2999, False)):
        args = [file], [view], 0, np.arange(1), np.zeros(1, dtype=np.int64), limit
        assert views_of_jpegs(kernel(), *args)[1].tolist() == [taken]


@needs_jpeg
def test_a_file_of_many_scans_is_left_to_others() -> None:
    file = saved(Image.fromarray(photo(64, 64, 0)).convert("L"), progressive=True)
    start = file.index(b"\xff\xda")
    scan = bytearray(file[start : file.index(b"\xff\xc4", start)])
    scan[9] = 0  # the mean levels, to their last bit: a scan that may come any number of times
    files = [file, *(file[:-2] + bytes(scan) * times + b"\xff\xd9" for times in (3, 40))]
    for one in files:
        assert decode(one, "a").shape == (64, 64, 3)
    args = [VIEWS[0]], 0, np.arange(3), np.zeros(3, dtype=np.int64), MAX_PIXELS
    assert views_of_jpegs(kernel(), files, *args)[1].tolist() == [True, True, False]


def test_without_the_kernel_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(native_library, "__file__", str(tmp_path / "library.py"))
    monkeypatch.delenv("SIGHTWORD_NATIVE", raising=False)
    native_library.native.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            made = [
                views_of_files(
                    [saved(photo(20, 30, 0))], ["a"], [VIEWS[0]], 0, np.arange(1), np.zeros(1, int)
                )
                for _ in range(3)
            ]
        assert made[0].views[VIEWS[0]].float().std() > 5
        assert len(caplog.records) == 1
        assert "C compiler" in caplog.records[0].getMessage()
    finally:
        native_library.native.cache_clear()


def test_the_environment_can_forbid_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIGHTWORD_NATIVE", "0")
    assert current() is None
    assert not caplog.records


@needs_kernel
def test_without_a_libjpeg_files_are_decoded_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from sightword.views import files as files_room

    monkeypatch.setattr(files_room, "current", lambda: replace(kernel(), jpeg=None))
    file, ids, epochs = saved(photo(50, 60, 0)), np.arange(1), np.zeros(1, dtype=np.int64)
    made = views_of_files([file], ["a"], [VIEWS[0]], 0, ids, epochs).views[VIEWS[0]]
    decoded = simplejpeg.decode_jpeg(file)
    assert torch.equal(made, make_views([decoded], [VIEWS[0]], 0, ids, epochs)[VIEWS[0]])


def test_what_is_no_libjpeg_is_refused() -> None:
    if KERNEL is None:
        pytest.skip("the native kernel was not built here")
    assert not KERNEL.functions.open_jpeg(b"/nowhere/libjpeg.so")
    assert not KERNEL.functions.open_jpeg(b"libm.so.6")


@needs_jpeg
def test_broken_files_make_no_fault_under_the_sanitizers(tmp_path: Path) -> None:
    program = fuzz_native.build(tmp_path)
    if program is None:
        pytest.skip("no C compiler with the address and undefined-behaviour sanitizers")
    whole = fuzz_native.good_files()
    assert fuzz_native.run(program, whole, 0, tmp_path) == (len(whole), len(whole) - len(fuzz_native.SIZES))
    seen, taken = fuzz_native.run(program, list(fuzz_native.broken(300, 5)), 5, tmp_path)
    assert seen == 300
    assert 30 < taken < 200
