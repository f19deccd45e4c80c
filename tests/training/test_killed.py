"""Real processes: killed at any moment, or asked to stop, and resumed, they end with the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import assert_same_tensors, newest_files, shard

STEPS = 80
SMALL = (
    "image.size=16", "image.width=24", "image.layers=2", "image.heads=2", "image.patch_size=4",
    "image.drop_path=0.2", "text.width=24", "text.layers=1", "text.heads=2", "text.context=16", "embed=16",
)  # fmt: skip
OBJECTIVE = (
    "clip + 0.5 * simclr(hidden=16, out=8) + mae(decoder_width=16, decoder_layers=1, decoder_heads=2)@40%"
)
PATIENCE = 180.0  # seconds for a process to do something, on a busy machine


def start(*arguments: str) -> subprocess.Popen[str]:
    """`sightword train` as a user starts it."""
    command = [sys.executable, "-m", "sightword", "train", *arguments]
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def begin(out: Path, data: Path) -> subprocess.Popen[str]:
    settings = [part for setting in SMALL for part in ("--set", f"model.{setting}")]
    length = ["--steps", str(STEPS), "--batch-size", "8", "--save-every", "2", "--log-every", "1"]
    how = ["--objective", OBJECTIVE, "--model", "vit-tiny", "--set", "data.vocab=300", "--workers", "1"]
    return start("--data", str(data), *how, *settings, *length, "--seed", "3", "--out", str(out))


def records(out: Path) -> list[dict[str, object]]:
    """Every whole line, also while the file is written."""
    file = out / "metrics.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines]


def last_step(out: Path) -> int:
    return max((int(str(r["step"])) for r in records(out) if r["kind"] == "step"), default=0)


def wait_for(process: subprocess.Popen[str], out: Path, step: int) -> None:
    """Until a run has recorded a step."""
    until = time.monotonic() + PATIENCE
    while last_step(out) < step:
        assert process.poll() is None, f"ended before step {step}: {process.communicate()[0]}"
        assert time.monotonic() < until, f"no step {step} in {PATIENCE} s"
        time.sleep(0.002)


def ended(process: subprocess.Popen[str]) -> str:
    """What a process said that ends by itself, with success."""
    said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, said
    return said


def steps(out: Path) -> list[tuple[object, ...]]:
    return [
        (r["step"], r["samples"], r["flops"], r["loss"], r["lr"], r["grad_norm"])
        for r in records(out)
        if r["kind"] == "step"
    ]


def assert_same_end(out: Path, whole: Path) -> None:
    assert_same_tensors(out / "model.safetensors", whole / "model.safetensors")
    assert newest_files(out) == newest_files(whole)
    assert steps(out) == steps(whole)
    assert [r["kind"] for r in records(out)][-2:] == ["save", "end"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the pictures is unreadable."""
    return shard(tmp_path_factory.mktemp("data") / "pairs.tar", 200, broken=(17,))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> Path:
    """The run that nobody stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    ended(begin(out, pairs))
    assert [row[0] for row in steps(out)] == list(range(1, STEPS + 1))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2112])
def test_killed_at_three_random_moments_and_resumed(
    tmp_path: Path, pairs: Path, whole: Path, seed: int
) -> None:
    """SIGKILL to the process alone: its worker has to notice by itself."""
    chance, out, reached = random.Random(seed), tmp_path / "run", 0
    process = begin(out, pairs)
    for _ in range(3):
        wait_for(process, out, reached + chance.randint(1, STEPS // 5))
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, "it had ended before"
        reached = last_step(out)
        assert 0 < reached < STEPS
        process = start("--resume", str(out))
    ended(process)
    assert_same_end(out, whole)
    known = [json.loads(line)["key"] for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert known == ["0017"]


@pytest.mark.slow
def test_asked_to_stop_it_saves_and_says_how_to_go_on(tmp_path: Path, pairs: Path, whole: Path) -> None:
    """SIGTERM to the process, then SIGINT to all of its group, as Ctrl-C in a terminal."""
    out = tmp_path / "run"
    process = begin(out, pairs)
    wait_for(process, out, 5)
    process.terminate()
    said = ended(process)
    first = last_step(out)
    assert f"SIGTERM: saved at step {first} of {STEPS}; go on with: sightword train --resume {out}" in said
    process = start("--resume", str(out))
    wait_for(process, out, first + 3)
    os.killpg(process.pid, signal.SIGINT)
    said = ended(process)
    second = last_step(out)
    assert f"SIGINT: saved at step {second} of {STEPS}; go on with: sightword train --resume {out}" in said
    assert "Traceback" not in said
    assert 5 <= first < second < STEPS
    ended(start("--resume", str(out)))
    assert_same_end(out, whole)
