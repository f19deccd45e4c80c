"""What the fault campaign trains, and which faults strike which run."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from _kinds import KINDS
from _lives import Shape
from PIL import Image

AT_ONCE = 5  # faults in one run
_SMALL = (
    "image.size=16", "image.width=24", "image.layers=2", "image.heads=2", "image.patch_size=4",
    "image.drop_path=0.2", "text.width=24", "text.layers=1", "text.heads=2", "text.context=16", "embed=16",
)  # fmt: skip
_FLAGS = (
    "--model", "vit-tiny", "--set", "data.vocab=300", "--workers", "1", "--max-bad", "0.1",
    *(part for setting in _SMALL for part in ("--set", f"model.{setting}")),
)  # fmt: skip
_SUM = (
    "clip + 0.5 * simclr(hidden=16, out=8) + 0.5 * byol(hidden=16, out=8, momentum=0.9)"
    " + mae(decoder_width=16, decoder_layers=1, decoder_heads=2)@40%"
)
_PREPARED = "clip + beit(codebook=12, code_width=8, tokenizer_width=16, tokenizer_steps=4)"
_PROCESSES = ("--set", "data.loaders=processes")
_HANG = ("--set", "hang_minutes=0.3")  # long enough for a busy machine, short enough to wait for

SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            "1 process", _SUM, (*_FLAGS, *_PROCESSES, "--batch-size", "8", "--chunk", "4"),
        ),
        Shape(
            "1 process, prepares", _PREPARED,
            (*_FLAGS, "--batch-size", "8", "--set", "data.loaders=threads", "--set", "optimizer.ema=0.9"),
        ),
        *(
            Shape(
                f"2 processes, {name}", _SUM, (*_FLAGS, *_PROCESSES, *_HANG, "--batch-size", "4", *more),
                how="torchrun", ranks=2,
            )
            for name, more in (
                ("DDP", ("--parallel", "ddp")),
                ("FSDP2", ("--parallel", "fsdp", "--chunk", "2")),
            )
        ),
    )
}  # fmt: skip

Quota = dict[str, dict[str, int]]  # shape: kind: how often

FULL: Quota = {
    "1 process": {
        "kill: any moment": 10,
        "kill: start": 4,
        "kill: beginning": 5,
        "kill: going on": 5,
        "kill: writing a checkpoint": 12,
        "kill: a checkpoint appears": 4,
        "kill: publishing": 10,
        "kill: recording": 6,
        "kill: after the last step": 8,
        "power cut: not flushed": 8,
        "power cut: half a record": 4,
        "checkpoint: cut": 4,
        "checkpoint: bit flipped": 5,
        "checkpoint: file gone": 4,
        "checkpoint: emptied": 2,
        "checkpoint: no manifest": 2,
        "checkpoint: half renamed": 3,
        "checkpoint: one left": 3,
        "checkpoint: none left": 2,
        "disk full": 6,
        "file size limit": 3,
        "loader killed": 4,
        "SIGTERM": 4,
        "SIGINT to all": 3,
        "SIGTERM twice": 3,
        "SIGINT twice": 3,
        "SIGSTOP for a while": 2,
    },
    "1 process, prepares": {
        "kill: any moment": 4,
        "kill: beginning": 4,
        "kill: preparing": 5,
        "kill: writing a checkpoint": 4,
        "kill: publishing": 3,
        "kill: after the last step": 3,
    },
}
for _name in ("DDP", "FSDP2"):
    FULL[f"2 processes, {_name}"] = {
        "kill: any moment": 4,
        "kill: one rank": 4,
        "kill: one rank, torchrun starts again": 3,
        "kill: torchrun": 3,
        "kill: start": 2,
        "kill: beginning": 1,
        "kill: going on": 1,
        "kill: writing a checkpoint": 4,
        "kill: publishing": 3,
        "kill: after the last step": 2,
        "power cut: not flushed": 2,
        "checkpoint: bit flipped": 1,
        "checkpoint: file gone": 1,
        "checkpoint: none left": 1,
        "disk full": 1,
        "loader killed": 1,
        "SIGTERM": 1,
        "SIGTERM to one rank": 1,
        "SIGINT to all": 1,
        "SIGSTOP for good": 1,
    }
QUICK: Quota = {
    "1 process": {
        "kill: beginning": 1,
        "kill: going on": 1,
        "kill: writing a checkpoint": 2,
        "kill: publishing": 1,
        "kill: after the last step": 1,
        "power cut: not flushed": 1,
        "checkpoint: bit flipped": 1,
        "loader killed": 1,
        "SIGTERM": 1,
    }
}


@dataclass(frozen=True)
class Drawn:
    """One run's faults, in order."""

    number: int
    shape: str
    kinds: tuple[str, ...]

    def without(self, kind: str) -> Drawn:
        """Where that fault cannot be made."""
        return dataclasses.replace(self, kinds=tuple(one for one in self.kinds if one != kind))


def draw(quota: Quota, seed: int) -> list[Drawn]:
    """All runs of a campaign: which faults meet in one run, and in which order, is drawn."""
    chance, lives = Random(seed), list[Drawn]()
    for shape, counts in quota.items():
        first, middle, last = ([k for k, n in counts.items() for _ in range(n) if KINDS[k].place == place]
                               for place in ("first", "any", "last"))  # fmt: skip
        chance.shuffle(middle)
        number = max(len(first), len(last), -(-(len(first) + len(middle) + len(last)) // AT_ONCE))
        groups = [(first[i : i + 1], last[i : i + 1], list[str]()) for i in range(number)]
        for kind in middle:
            min(groups, key=lambda group: sum(map(len, group)))[2].append(kind)
        lives += [
            Drawn(len(lives) + i, shape, (*group[0], *group[2], *group[1])) for i, group in enumerate(groups)
        ]
    return lives


def pairs(path: Path, count: int = 200, broken: int = 17) -> Path:
    """A shard of noise with captions; one of its pictures is none."""
    rng = np.random.default_rng(0)
    words = ("a", "red", "small", "very", "large", "round", "square", "on", "under", "dark", "thing")
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(buffer, "PNG")
            picture = b"no picture" if number == broken else buffer.getvalue()
            caption = " ".join(rng.choice(words, 1 + number % 9)).encode()
            for name, content in ((f"{number:04}.png", picture), (f"{number:04}.txt", caption)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path
