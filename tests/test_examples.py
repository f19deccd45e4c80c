"""The cluster examples with a make-believe queue: asked to stop they save; the next start ends the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import shard

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
STEPS = 150
PATIENCE = 240.0  # seconds for a start, on a busy machine
SMALL = (
    "image.size=16", "image.width=24", "image.layers=1", "image.heads=2", "image.patch_size=4",
    "text.width=24", "text.layers=1", "text.heads=2", "text.context=16", "embed=16",
)  # fmt: skip
# `srun` leaves out its own options and becomes the command, so that it forwards signals as the real one does.
SRUN = '#!/bin/bash\nwhile [[ "$1" == --* ]]; do shift; done\nexec "$@"\n'
SCONTROL = """#!/bin/bash
if [ "$1 $2" = "show hostnames" ]; then echo localhost; echo node-2; exit; fi
echo "$@" >> "$QUEUE"
"""


def arguments(data: Path, out: Path) -> list[str]:
    settings = [part for setting in SMALL for part in ("--set", f"model.{setting}")]
    length = ["--steps", str(STEPS), "--batch-size", "8", "--save-every", "50", "--log-every", "1"]
    how = ["--objective", "clip", "--model", "vit-tiny", "--set", "data.vocab=300", "--workers", "0"]
    return ["--data", str(data), *how, *settings, *length, "--out", str(out), "--evaluate-on", ""]


def records(out: Path, kind: str) -> list[dict[str, object]]:
    file = out / "metrics.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def until(there: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def queue(tmp_path: Path) -> dict[str, str]:
    """An environment as SLURM's on one node, whose queue is a file."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NUM_NODES": "1"}
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **slurm, "PATH": path, "QUEUE": str(tmp_path / "queue"), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_slurm_job_saves_before_its_limit_and_goes_on(tmp_path: Path, queue: dict[str, str]) -> None:
    out, log = tmp_path / "run", (tmp_path / "log").open("wb")
    batch = ["bash", str(EXAMPLES / "slurm.sbatch"), *arguments(shard(tmp_path / "pairs.tar"), out)]
    job = subprocess.Popen(batch, env=queue, stdout=log, stderr=log)
    until(lambda: len(records(out, "step")) > 2 or job.poll() is not None)
    job.send_signal(signal.SIGUSR1)  # as --signal=B:USR1@300 does, to the batch script alone
    job.wait(PATIENCE)
    said = (tmp_path / "log").read_text()
    done = len(records(out, "step"))
    assert 2 < done < STEPS, said
    assert f"SIGTERM: saved at step {done} of {STEPS}" in said
    assert (tmp_path / "queue").read_text() == f"requeue {queue['SLURM_JOB_ID']}\n"
    again = subprocess.run(
        batch, env={**queue, "SLURM_RESTART_COUNT": "1"}, capture_output=True, check=False, timeout=PATIENCE
    )
    assert again.returncode == 0, again.stderr
    assert [record["step"] for record in records(out, "step")] == list(range(1, STEPS + 1))
    assert len(records(out, "end")) == 1
    assert (tmp_path / "queue").read_text() == f"requeue {queue['SLURM_JOB_ID']}\n", "it has ended for good"


def test_a_slurm_job_that_fails_is_tried_again_so_often(tmp_path: Path, queue: dict[str, str]) -> None:
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\nexit 75\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    for start in range(4):
        own = {**queue, "RETRIES": "2", "SLURM_RESTART_COUNT": str(start)}
        failed = subprocess.run(
            ["bash", str(EXAMPLES / "slurm.sbatch"), "--out", "x"], env=own, check=False, timeout=PATIENCE
        )
        assert failed.returncode == 75
    assert (tmp_path / "queue").read_text().splitlines() == [f"requeue {queue['SLURM_JOB_ID']}"] * 2


def task_of(process: int) -> int:
    """The process, among those that this one has started, in which submitit runs the function."""
    command = Path(f"/proc/{process}/cmdline").read_text().split("\0")
    if "submitit.core._submit" in command:
        return process
    (child,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return task_of(int(child))


@pytest.mark.slow
def test_a_submitit_job_saves_when_it_is_preempted_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit = pytest.importorskip("submitit", reason="the example needs submitit")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES), *sys.path]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from submitit_train import Train

    out = tmp_path / "run"
    executor = submitit.LocalExecutor(folder=tmp_path / "logs")
    executor.update_parameters(timeout_min=20, tasks_per_node=1, nodes=1)
    job = executor.submit(Train(arguments(shard(tmp_path / "pairs.tar"), out), 1))
    until(lambda: len(records(out, "step")) > 2 or job.done())
    os.kill(task_of(job._process.pid), signal.SIGUSR2)  # as SLURM does before the limit and at a preemption
    assert job.result() == 0, job.stderr()
    assert "SIGTERM: saved at step" in (job.stdout() or "") + (job.stderr() or "")
    assert [record["step"] for record in records(out, "step")] == list(range(1, STEPS + 1))
