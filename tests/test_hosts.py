"""The two hosts of `bench/hosts.py`, and the judge of what they made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

BENCH = Path(__file__).resolve().parents[1] / "bench"
LISTEN = """
import socket
server = socket.create_server(('', 5000))
server.accept()[0].sendall(socket.gethostname().encode())
"""
ASK = """
import socket
try:
    print(socket.create_connection(('{}', 5000), 3).recv(99).decode())
except OSError as error:
    print("unreachable")
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    import hosts

    return hosts


def test_two_hosts_reach_each_other_until_the_cable_is_pulled(bench: ModuleType, tmp_path: Path) -> None:
    reason = bench.unable()
    if reason:
        pytest.skip(f"two hosts on one machine {reason}")
    with bench.two_hosts() as (first, second), (tmp_path / "log").open("wb") as log:
        first.start(["python3", "-c", LISTEN], log)
        for _ in range(100):
            said = ask(second, first.address)
            if said != "unreachable":
                break
        assert said == "host-a"
        second.unplug()
        assert ask(second, first.address) == "unreachable"
        second.plug()
        spaces = [host.space for host in (first, second)]
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert not any(space in left for space in spaces)


def ask(host: object, address: str) -> str:
    inside = ["ip", "netns", "exec", host.space, "python3", "-c", ASK.format(address)]  # type: ignore[attr-defined]
    return subprocess.run(inside, capture_output=True, text=True, check=True).stdout.strip()


def written(bench: ModuleType, folder: Path, ranks: int, change: str = "") -> object:
    """A run of two steps of four samples on so many ranks, in which one thing may be wrong."""
    out, notes = folder / "run", folder / "notes.jsonl"
    out.mkdir(parents=True)
    losses = {1: 0.5, 2: 0.4 + (1e-2 if change == "loss" else 0.0)}
    steps = [{"kind": "step", "step": step, "loss": loss} for step, loss in losses.items()]
    (out / "metrics.jsonl").write_text(
        "".join(json.dumps(r) + "\n" for r in steps[: 1 if change == "step" else 2])
    )
    save_file({"w": torch.ones(2) + (1e-2 if change == "weight" else 1e-6)}, out / "model.safetensors")
    lines = []
    for step in (0, 1, 1):  # the second was done again, after a failure
        ids = [10 * step + i for i in range(4)]
        if change == "samples" and len(lines) == 2 * ranks:
            ids[-1] = 99
        for rank in range(ranks):
            own = ids[rank * 4 // ranks : (rank + 1) * 4 // ranks]
            lines.append({"step": step, "rank": rank, "ranks": ranks, "ids": own, "process": rank})
    notes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return bench.Ran(out, notes, codes=[0, 3] if change == "code" else [0, 0])


def test_the_judge_sees_what_is_wrong(bench: ModuleType, tmp_path: Path) -> None:
    alone = written(bench, tmp_path / "alone", 1)
    good = bench.row("two", written(bench, tmp_path / "good", 2), alone)
    assert good["faults"] == []
    assert (good["steps"], good["steps_again"], good["processes"], good["other_batches"]) == (2, 2, 2, 0)
    for change, fault in {
        "loss": "a loss differs by 1.0e-02", "weight": "a weight differs by 1.0e-02",
        "samples": "1 steps had other samples", "step": "other steps were recorded",
        "code": "ended with [0, 3]",
    }.items():  # fmt: skip
        assert fault in bench.row(change, written(bench, tmp_path / change, 2, change), alone)["faults"]
    assert "fault: a loss" in bench.table([{**good, "faults": ["a loss"], "told": {"host-a": ["hang: x"]}}])
