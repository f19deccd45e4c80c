"""What saving costs: `python bench/checkpoints.py [--rounds 5] [--at FOLDER] [--device cpu] [--out FILE]`.

CLIP with ViT-B/16 and AdamW, weights and both moments in float32. `in training` is a save that training waits
for, `beside training` one by `Saver`: how long training stands still, and how long until all is published.
They take turns; medians are shown, the first round is left out. Then what is needed to go on: every byte
checked, and read back. Last, how fast a loop of matrix products runs while a save is being written, against
the same loop alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _results import append

from sightword.config import Config, DataConfig
from sightword.pairs.sources import open_pairs
from sightword.recipes import models
from sightword.training.optimizer import make_optimizer, named_trainable
from sightword.training.pretrainer import Pretrainer
from sightword.training.saving import checkpoint
from sightword.training.saving.saver import Saver
from sightword.training.setup import build_pretrainer, make_tokenizer

ABOUT = {"step": 1, "samples": 0, "flops": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--at", type=Path, help="a folder on the disk to measure; a temporary one if left out"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    model, optimizer = trained(torch.device(given.device))
    with tempfile.TemporaryDirectory(dir=given.at) as folder:
        rows, size = saves(Path(folder), model, optimizer, given.rounds)
        rows += resuming(Path(folder), model, optimizer, given.rounds)
        rows += beside(Path(folder), model, optimizer, given.rounds)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters / 1e6:.0f} M parameters, {size / 1e9:.2f} GB a checkpoint, on {given.device}")
    for row in rows:
        print(f"{row['what']:<52}{row['value']:>9.3f} {row['unit']}")
    append(given.out, "checkpoints", rows, parameters=parameters, bytes=size, device=given.device)


def trained(device: torch.device) -> tuple[Pretrainer, torch.optim.AdamW]:
    """A model after one step, so that the optimizer has state."""
    config = Config(objective="clip", data=DataConfig(split="train"), model=models.vit_b16())
    tokenizer = make_tokenizer(config, open_pairs("demo", "train"))
    model = build_pretrainer(config, tokenizer).to(device)
    optimizer = make_optimizer(model, config.optimizer)
    for parameter in named_trainable(model).values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return model, optimizer


def saves(
    out: Path, model: Pretrainer, optimizer: torch.optim.AdamW, rounds: int
) -> tuple[list[dict[str, Any]], int]:
    """Both ways in turn, and the size of a checkpoint."""
    inside, blocked, whole, size = [], [], [], 0
    with Saver(out, 1) as saver:
        for step in range(2, 2 * rounds + 4, 2):
            inside.append(seconds(lambda: in_training(out, model, optimizer, step)))  # noqa: B023
            saver.save(model, optimizer, {"step": step + 1}, ABOUT)
            saver.wait()
            (published,) = saver.published()
            blocked.append(published.blocked_seconds)
            whole.append(published.seconds)
            size = published.bytes
    return [
        row("in training: training stands still", inside[1:]),
        row("beside training: training stands still", blocked[1:]),
        row("beside training: the same, for the first save", blocked[:1]),
        row("beside training: until all is published", whole[1:]),
        ratio("training stands still for less by", inside[1:], blocked[1:]),
    ], size


def in_training(out: Path, model: Pretrainer, optimizer: torch.optim.AdamW, step: int) -> None:
    """What training would wait for without a `Saver`."""
    checkpoint.save(out, model, optimizer, {"step": step}, 1)
    checkpoint.save_encoders(out, model.kept_encoders(), ABOUT)


def resuming(out: Path, model: Pretrainer, optimizer: torch.optim.AdamW, rounds: int) -> list[dict[str, Any]]:
    """What going on takes, from a disk that may remember the files."""
    checked, read = [], []
    for _ in range(rounds + 1):
        checked.append(seconds(lambda: checkpoint.newest(out)))
        saved, _ = checkpoint.newest(out)
        assert saved is not None
        read.append(seconds(lambda: checkpoint.restore(saved, model, optimizer)))  # noqa: B023
    return [row("to go on: every byte checked", checked[1:]), row("to go on: read back", read[1:])]


def beside(out: Path, model: Pretrainer, optimizer: torch.optim.AdamW, rounds: int) -> list[dict[str, Any]]:
    """Products a second while a save is written, over products a second alone."""
    shares = []
    with Saver(out, 1) as saver:
        for step in range(10_000, 10_000 + rounds + 1):
            alone = products(lambda began: time.perf_counter() - began < 1.0)
            saver.save(model, optimizer, {"step": step}, ABOUT)
            busy = products(lambda _: not saver.published())
            saver.wait()
            shares.append(busy / alone)
    return [
        {"what": "speed of a loop while a save is written", "value": median(shares[1:]), "unit": "x alone"}
    ]


def products(go_on: Callable[[float], bool]) -> float:
    """Matrix products a second, in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, product = torch.randn(256, 256), torch.empty(256, 256)
    began, count = time.perf_counter(), 0
    while go_on(began):
        torch.mm(a, a, out=product)
        count += 1
    torch.set_num_threads(threads)
    return count / (time.perf_counter() - began)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def row(what: str, taken: list[float]) -> dict[str, Any]:
    return {"what": what, "value": median(taken), "unit": "s"}


def ratio(what: str, more: list[float], less: list[float]) -> dict[str, Any]:
    return {"what": what, "value": median([a / b for a, b in zip(more, less, strict=True)]), "unit": "times"}


def median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


if __name__ == "__main__":
    main()
