"""A small adaptation: a tiny run, colours to adapt to, and squares as the reference."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from small_shard import picture, write_tar
from tiny_runs import shard, tiny

from sightword.cli import main
from sightword.training.loop import train

PAIRS, HELD_OUT = 72, 24


@dataclass(frozen=True)
class Small:
    """A finished adaptation, and what it was made of."""

    folder: Path
    out: Path
    command: list[str]


def command(folder: Path, out: Path) -> list[str]:
    """The adaptation of the run in `folder`."""
    given = [
        "--from",
        str(folder / "start"),
        "--data",
        str(folder / "pairs.tar"),
        "--held-out",
        str(HELD_OUT),
    ]
    given += ["--reference", str(folder / "squares"), "--alphas", "0,0.5,1", "--tolerance", "0.5"]
    given += [
        "--epochs",
        "16",
        "--batch-size",
        "16",
        "--lr",
        "1e-2",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]
    return ["adapt", *given, "--workers", "0", "--out", str(out), "--yes"]


def colours(path: Path) -> Path:
    """Noise around a colour, and captions that name its parts: what is learned of some holds for others."""
    random, members = np.random.default_rng(7), dict[str, bytes]()
    for index in range(PAIRS):
        level = random.integers(0, 5, 3)
        pixels = random.normal(40 * level + 40, 25, (20, 20, 3)).clip(0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        red, green, blue = (["none", "little", "some", "much", "full"][i] for i in level)
        said = f"{red} red, {green} green, {blue} blue, {index}"
        members |= {f"{index:03}.png": buffer.getvalue(), f"{index:03}.txt": said.encode()}
    return write_tar(path, members)


def sources(folder: Path) -> None:
    """What is adapted to, and the reference, in an empty folder."""
    colours(folder / "pairs.tar")
    for i in range(16):
        content, caption = picture(i)
        place = folder / "squares" / "test" / caption.split()[1]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(content)


def adapted(folder: Path) -> Small:
    """Make it, in an empty folder."""
    sources(folder)
    train(tiny(folder / "start", shard(folder / "other.tar", 24), steps=2), say=lambda line: None)
    out = folder / "adapted"
    given = command(folder, out)
    main(given)
    return Small(folder, out, given)
