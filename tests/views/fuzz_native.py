"""Broken JPEG files through the native kernel under the address and undefined-behaviour sanitizers.

    python tests/views/fuzz_native.py --inputs 20000 --seed 1

The files are made from small good ones of every kind: bits turned, ends cut off, headers exchanged, sizes
made hostile. The kernel's C files are compiled with a small program of their own that reads them one by one.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import simplejpeg
from photos import photo
from PIL import Image

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "src/sightword/views/native"
SIZES = ((1, 1), (1, 40), (33, 2), (16, 16), (47, 65), (90, 61))
KINDS = (
    {"subsampling": 0},
    {"subsampling": 1},
    {"subsampling": 2},
    {"subsampling": 2, "progressive": True},
    {"subsampling": 1, "progressive": True},
    {"subsampling": 2, "restart_marker_blocks": 2},
    {"subsampling": 2, "restart_marker_rows": 1},
    {"optimize": True},
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        if program is None:
            raise SystemExit(
                "no C compiler with the sanitizers: install gcc or clang with libasan and libubsan"
            )
        files, taken = run(program, list(broken(given.inputs, given.seed)), given.seed, Path(folder))
    print(f"{files} files, {taken} of them taken by the kernel; no fault")


def good_files() -> list[bytes]:
    """Small JPEGs of every kind that the kernel takes, gray ones too, and some that it leaves alone."""
    files = []
    for seed, (height, width) in enumerate(SIZES):
        image = Image.fromarray(photo(height, width, seed))
        files += [encoded(image, **options) for options in KINDS]
        files += [encoded(image.convert("L")), encoded(image.convert("CMYK"))]
        files.append(simplejpeg.encode_jpeg(photo(height, width, seed), colorsubsampling="440"))
    return files


def encoded(image: Image.Image, quality: int = 90, **options: object) -> bytes:
    """The picture as a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def broken(count: int, seed: int) -> Iterator[bytes]:
    """`count` files, one in ten of them whole."""
    rng = np.random.default_rng(seed)
    sources = good_files()
    for _ in range(count):
        file = bytearray(sources[rng.integers(len(sources))])
        how = rng.integers(10)
        if how < 4:  # bits turned, in the header more often than chance would have it
            for _ in range(rng.integers(1, 6)):
                at = rng.integers(len(file) if rng.random() < 0.6 else min(len(file), 640))
                file[at] ^= 1 << rng.integers(8)
        elif how < 6:
            del file[rng.integers(len(file)) :]
        elif how < 7:  # another file's header before this one's picture
            other = sources[rng.integers(len(sources))]
            at = file.find(b"\xff\xda"), other.find(b"\xff\xda")
            file = bytearray(other[: at[1]]) + file[at[0] :]
        elif how < 8:  # hostile height and width
            for marker in (b"\xff\xc0", b"\xff\xc2"):
                at = file.find(marker)
                if at >= 0:
                    sides = rng.choice([0, 1, 7, 8, 9, 255, 2000, 65_535], 2).tolist()
                    file[at + 5 : at + 9] = struct.pack(">HH", *sides)
        elif how < 9:  # a piece repeated or left out
            start, length = int(rng.integers(len(file))), int(rng.integers(1, 200))
            piece = file[start : start + length]
            file[start : start + length] = piece * 2 if rng.random() < 0.5 else b""
        yield bytes(file)


def build(folder: Path) -> Path | None:
    """The kernel and its driver under the sanitizers; None where the compiler has none."""
    compiler = os.environ.get("CC") or next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        return None
    program = folder / "fuzz"
    flags = ["-std=gnu11", "-O1", "-g", "-ffp-contract=off", "-fsanitize=address,undefined"]
    sources = [
        HERE / "fuzz_native.c",
        *(SOURCES / name for name in ("kernel.c", "axis.c", "jpeg.c", "huffman.c")),
    ]
    command = [*compiler.split(), *flags, "-fno-sanitize-recover=all", *map(str, sources), "-o", str(program)]
    done = subprocess.run([*command, "-lm", "-ldl"], capture_output=True, text=True)
    return program if done.returncode == 0 else None


def run(program: Path, files: list[bytes], seed: int, folder: Path) -> tuple[int, int]:
    """How many files there were and how many the kernel took.

    Raises:
        AssertionError: with the sanitizers' report, when one found a fault.
    """
    from sightword.views.native.library import jpeg_paths

    corpus = folder / "corpus"
    corpus.write_bytes(b"".join(struct.pack("<I", len(file)) + file for file in files))
    for path in jpeg_paths():
        done = subprocess.run(
            [str(program), os.fsdecode(path), str(corpus), str(seed)],
            capture_output=True,
            text=True,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"},
        )
        if done.returncode != 3:  # 3: not this libjpeg
            assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr[-4000:]}"
            seen, taken = map(int, done.stdout.split())
            return seen, taken
    raise AssertionError("no libjpeg of version 6.2 was found")


if __name__ == "__main__":
    main()
