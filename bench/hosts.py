"""Two hosts train together, lose each other for longer than the time-out, and end as if nothing had happened.

    python bench/hosts.py --out bench/results/hosts.jsonl

The hosts are network namespaces with addresses of their own and a shared folder, started by torchrun. Five
runs of the same seed and global batch: in one process; on both hosts; on both with the cable pulled in the
middle, where torchrun's own restarts bring them together again; the same where torchrun itself gives up and
both are started again with the same command, as a queue does; and where torchrun may go on with one host.
Held against the first: the samples of every step, the loss of every step, and the final weights; and whether
those are bit for bit what both hosts make undisturbed. Needs root; says so and ends well where it cannot.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
from _faults import info, tar_of
from _results import append
from _two_hosts import Host, two_hosts, unable
from PIL import Image
from safetensors.torch import load_file

TRAIN = Path(__file__).with_name("_noted_train.py")
OBJECTIVE = "clip + simclr(hidden=16, out=8)"
SMALL = (
    "model.image.size=16", "model.image.width=24", "model.image.layers=2", "model.image.heads=2",
    "model.image.patch_size=4", "model.text.width=24", "model.text.layers=1", "model.text.heads=2",
    "model.text.context=16", "model.embed=16", "data.vocab=300",
)  # fmt: skip
COLOURS = {
    "red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220), "yellow": (230, 220, 40),
    "black": (20, 20, 20), "white": (235, 235, 235), "orange": (240, 140, 30), "purple": (140, 40, 180),
}  # fmt: skip
BATCH = 16  # of a step, whoever shares it
EPS = 1e-5  # of AdamW: with the usual 1e-8, rounding alone decides which way weights without gradient go
ALIKE = 1e-4  # weights and losses may differ by so much, for sums are taken in another order
TOLD = re.compile(r"(?m)^.*(?:hang: rank|lost the others|has stood|did not come).*$")


@dataclass
class Kind:
    """One of the runs.

    seconds: how long the cable is out; 0 for not at all.
    read_timeout: seconds for which torchrun waits for an answer of the other host.
    restarts: of torchrun's, for its --max-restarts.
    nodes: for its --nnodes; `1:2` lets one host go on alone, with the same global batch.
    """

    name: str
    seconds: float = 0.0
    read_timeout: int = 600
    restarts: int = 3
    nodes: str = "2"


@dataclass
class Ran:
    """What came of a run."""

    out: Path
    notes: Path
    starts: int = 1
    told: dict[str, list[str]] = field(default_factory=dict)
    wall: float = 0.0
    codes: list[int] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--cut", type=float, default=40.0, help="seconds without the cable")
    parser.add_argument("--hang", type=float, default=12.0, help="seconds after which a step hangs")
    parser.add_argument("--keep", type=Path, help="runs and what the hosts said are kept here")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to stop"))  # and the hosts are taken down
    reason = unable()
    if reason:
        print(f"skipped: two hosts on one machine {reason}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = all_runs(folder, given.steps, given.cut, given.hang)
    print(table(rows))
    append(given.out, "hosts", rows, steps=given.steps, cut=given.cut, hang=given.hang)
    raise SystemExit(any(row["faults"] for row in rows))


def all_runs(folder: Path, steps: int, cut: float, hang: float) -> list[dict[str, Any]]:
    """The runs one after the other, each held against the first, and the weights against the second."""
    write_pairs(folder / "pairs.tar")
    alone = in_one_process(folder, steps, hang)
    rows = [row("one process", alone, alone)]
    kinds = [
        Kind("two hosts"),
        Kind("cut, torchrun restarts", cut),
        Kind("cut, started again", cut, read_timeout=5, restarts=0),
        Kind("cut, one may go on", cut, nodes="1:2"),
    ]
    for number, kind in enumerate(kinds):
        print(f"{kind.name} ...", file=sys.stderr, flush=True)
        ran = on_two_hosts(folder / f"hosts{number}", kind, steps, hang)
        undisturbed = folder / "hosts0" / "run" / "model.safetensors"
        rows.append(row(kind.name, ran, alone))
        rows[-1]["bit_identical"] = difference(ran.out / "model.safetensors", undisturbed) == 0.0
    return rows


def write_pairs(path: Path, count: int = 96) -> None:
    """A shard of stripes in two colours, with captions that say so."""
    random, names = np.random.default_rng(0), list(COLOURS)
    members = []
    for index in range(count):
        buffer, two = io.BytesIO(), random.choice(names, 2, replace=False)
        stripes = np.arange(20) // random.integers(2, 8) % 2
        pixels = np.array([COLOURS[name] for name in two])[np.broadcast_to(stripes, (20, 20))]
        pixels = pixels.transpose(1, 0, 2) if index % 2 else pixels
        noise = random.integers(-40, 41, pixels.shape)
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        caption = f"{two[0]} and {two[1]} {('columns', 'rows')[index % 2]}".encode()
        for suffix, content in (("png", buffer.getvalue()), ("txt", caption)):
            members.append((info(f"{index:04}.{suffix}", len(content)), content))
    path.write_bytes(tar_of(members))


def command(pairs: Path, out: Path, steps: int, hang: float, processes: int) -> list[str]:
    """The same line for the first start and for every other."""
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return [
        str(TRAIN), "train", "--data", str(pairs), "--objective", OBJECTIVE, "--model", "vit-tiny", *settings,
        "--steps", str(steps), "--batch-size", str(BATCH // processes), "--seed", "3", "--workers", "0",
        "--precision", "fp32", "--set", f"optimizer.eps={EPS}", "--save-every", "5", "--log-every", "1",
        "--evaluate-on", "", "--hang-minutes", f"{hang / 60:.4f}", "--out", str(out), "--resume", "latest",
    ]  # fmt: skip


def in_one_process(folder: Path, steps: int, hang: float) -> Ran:
    """The run that the others are held against."""
    ran = Ran(folder / "alone", folder / "alone.jsonl")
    began = time.monotonic()
    python = [sys.executable, *command(folder / "pairs.tar", ran.out, steps, hang, 1)]
    done = subprocess.run(python, env=environment(ran), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the run in one process failed:\n{done.stdout}{done.stderr}")
    ran.wall, ran.codes = time.monotonic() - began, [0]
    return ran


def environment(ran: Ran) -> dict[str, str]:
    """With one thread, for sums in the same order."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "NOTES": str(ran.notes)}


def on_two_hosts(folder: Path, kind: Kind, steps: int, hang: float, limit: float = 1200.0) -> Ran:
    """Start torchrun on both until both end well; pull the cable once, when a third of the steps are done."""
    folder.mkdir()
    ran, began, pulled = Ran(folder / "run", folder / "notes.jsonl"), time.monotonic(), kind.seconds == 0
    ran.starts = 0
    with two_hosts() as hosts:
        while ran.codes != [0, 0] and ran.starts < 4 and time.monotonic() - began < limit:
            ran.starts += 1
            launched = [launch(folder, ran, host, hosts, kind, steps, hang) for host in hosts]
            try:
                if not pulled and wait_until(lambda: recorded(ran.out) >= steps // 3, launched, limit):
                    pulled = True
                    hosts[1].unplug()
                    time.sleep(kind.seconds)
                    hosts[1].plug()
                ran.codes = [process.wait(limit) for process in launched]
            finally:
                for process in launched:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)
        for host in hosts:
            ran.told[host.name] = TOLD.findall((folder / f"{host.name}.log").read_text(errors="replace"))
    ran.wall = time.monotonic() - began
    return ran


def launch(
    folder: Path, ran: Ran, host: Host, hosts: Sequence[Host], kind: Kind, steps: int, hang: float
) -> subprocess.Popen[bytes]:
    """torchrun on one host; the first one keeps the meeting point."""
    first = "true" if host is hosts[0] else "false"
    torchrun = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes", kind.nodes, "--nproc-per-node", "1",
        "--rdzv-id", f"start{ran.starts}", "--rdzv-backend", "c10d",
        "--rdzv-endpoint", f"{hosts[0].address}:29400", "--local-addr", host.address,
        "--rdzv-conf", f"is_host={first},read_timeout={kind.read_timeout},last_call_timeout=5",
        "--max-restarts", str(kind.restarts),
    ]  # fmt: skip
    train = command(folder.parent / "pairs.tar", ran.out, steps, hang, 2)
    with (folder / f"{host.name}.log").open("ab") as log:
        return host.start([*torchrun, *train], log, OMP_NUM_THREADS="1", NOTES=str(ran.notes))


def wait_until(there: Callable[[], bool], processes: Sequence[subprocess.Popen[bytes]], limit: float) -> bool:
    """Whether it came while all processes lived."""
    end = time.monotonic() + limit
    while time.monotonic() < end and all(process.poll() is None for process in processes):
        if there():
            return True
        time.sleep(0.05)
    return False


def lines(file: Path) -> list[dict[str, Any]]:
    """Every whole line, also while the file is written."""
    content = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in content if line]


def losses(out: Path) -> dict[int, float]:
    """By step."""
    return {r["step"]: r["loss"] for r in lines(out / "metrics.jsonl") if r["kind"] == "step"}


def recorded(out: Path) -> int:
    """The last step that is recorded."""
    return max(losses(out), default=0)


def batches(ran: Ran) -> dict[int, set[tuple[int, ...]]]:
    """Every batch that a step was ever given, in rank order; one, if nothing went wrong."""
    given: dict[tuple[int, int, int], set[tuple[int, ...]]] = {}
    for line in lines(ran.notes):
        given.setdefault((line["step"], line["ranks"], line["rank"]), set()).add(tuple(line["ids"]))
    found: dict[int, set[tuple[int, ...]]] = {}
    for step, ranks in sorted({key[:2] for key in given}):
        pieces = [given.get((step, ranks, rank), set()) for rank in range(ranks)]
        if all(pieces):  # the cut may have come before every rank had its own
            joined = {tuple(chain.from_iterable(choice)) for choice in product(*pieces)}
            found[step] = found.get(step, set()) | joined
    return found


def row(name: str, ran: Ran, alone: Ran) -> dict[str, Any]:
    """What came of a run, held against the one in one process."""
    ours, theirs = losses(ran.out), losses(alone.out)
    faults = [] if all(code == 0 for code in ran.codes) else [f"ended with {ran.codes}"]
    faults += [] if ours.keys() == theirs.keys() else ["other steps were recorded"]
    other = sum(batch != batches(ran).get(step) for step, batch in batches(alone).items())
    faults += [f"{other} steps had other samples"] if other else []
    loss = max((abs(ours[step] - theirs[step]) for step in ours.keys() & theirs.keys()), default=1.0)
    weights = difference(ran.out / "model.safetensors", alone.out / "model.safetensors")
    faults += [
        f"{what} differs by {by:.1e}" for what, by in (("a loss", loss), ("a weight", weights)) if by > ALIKE
    ]
    done = [(line["step"], line["rank"]) for line in lines(ran.notes)]
    processes = {line["process"] for line in lines(ran.notes)}
    return {
        "run": name, "starts": ran.starts, "processes": len(processes), "steps": len(ours),
        "steps_again": len(done) - len(set(done)), "other_batches": other, "loss_difference": loss,
        "weight_difference": weights, "seconds": round(ran.wall, 1), "told": ran.told, "faults": faults,
    }  # fmt: skip


def difference(first: Path, second: Path) -> float:
    """The largest of any two weights."""
    if not first.exists():
        return float("inf")
    ours, theirs = load_file(first), load_file(second)
    return max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in theirs)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """For people."""
    head = f"{'run':<24}{'starts':>7}{'processes':>10}{'steps':>6}{'again':>6}{'other batches':>14}"
    text = [head + f"{'loss':>10}{'weights':>10}{'bits':>6}{'seconds':>9}"]
    for one in rows:
        text.append(
            f"{one['run']:<24}{one['starts']:>7}{one['processes']:>10}{one['steps']:>6}{one['steps_again']:>6}"
            f"{one['other_batches']:>14}{one['loss_difference']:>10.1e}{one['weight_difference']:>10.1e}"
            f"{'same' if one.get('bit_identical') else 'other':>6}{one['seconds']:>9.1f}"
        )
        text += [f"    fault: {fault}" for fault in one["faults"]]
        text += [f"    {host}: {line.strip()}" for host, said in one["told"].items() for line in said]
    return "\n".join(text)


if __name__ == "__main__":
    main()
