"""Runs by submitit: carried out, failures told, requeued when their node is taken, never submitted twice."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_ins import begun, job, patient, quick, until

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.study.launching.slurm import JOBS, Slurm


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """Jobs on this machine, by submitit's local executor."""
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'sightword[slurm]'")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    return Slurm(tmp_path / "study", gpus=0, cpus=1, hours=1.0, cluster="local")


def test_without_submitit_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SightwordError, match=r"run: pip install 'sightword\[slurm\]'"):
        Slurm(tmp_path).run(quick, [job(tmp_path / "a")])


def test_all_are_carried_out_and_failures_told(tmp_path: Path, slurm: Slurm) -> None:
    runs = tmp_path / "runs"
    configs = [job(runs / "a", "fails"), job(runs / "b"), job(runs / "c", "dies")]
    failures = {Path(one.out).name: one.reason for one in slurm.run(quick, configs)}
    assert failures == {
        "a": "sightword: the disk is full",
        "c": "killed by SIGKILL; its last words: it said nothing",
    }
    assert (runs / "b" / "ended").read_text().split()[1::2] == ["1", os.getcwd()]
    records = [json.loads(line) for line in (slurm.folder / JOBS).read_text().splitlines()]
    assert [record["out"] for record in records] == [config.out for config in configs]


def test_a_job_whose_node_is_taken_saves_is_queued_again_and_goes_on(tmp_path: Path, slurm: Slurm) -> None:
    out = tmp_path / "runs" / "a"

    def take_the_node() -> None:
        until(begun(out, 1))
        os.kill(int((out / "begun").read_text().split()[1]), signal.SIGUSR2)
        until(begun(out, 2))
        (out / "enough").touch()

    thread = threading.Thread(target=take_the_node)
    thread.start()
    assert slurm.run(patient, [job(out)]) == []
    thread.join()
    assert [line.split()[0] for line in (out / "begun").read_text().splitlines()] == ["0", "1"]
    assert (out / "count").read_text() == "2"


def test_jobs_that_wait_or_run_are_waited_for_and_not_submitted_again(
    tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an earlier call that died."""
    import submitit

    asked = list[str]()

    class Known(submitit.LocalJob[Any]):
        def done(self, force_check: bool = False) -> bool:
            asked.append(self.job_id)
            return len(asked) > 2

        def result(self) -> str:
            return "it was told"

    monkeypatch.setattr(submitit.LocalExecutor, "job_class", Known)
    out = tmp_path / "runs" / "a"
    slurm.folder.mkdir()
    line = {"kind": "job", "out": str(out), "job": "77_3", "cluster": "local", "time": 0.0}
    elsewhere = {**line, "job": "5", "cluster": "slurm"}
    (slurm.folder / JOBS).write_text(json.dumps(line) + "\n" + json.dumps(elsewhere) + "\n")
    failures = slurm.run(quick, [job(out)])
    assert [(one.out, one.reason) for one in failures] == [(str(out), "it was told")]
    assert set(asked) == {"77_3"}
    assert not (out / "ended").exists()


def test_what_sbatch_is_told(tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """One array, with what was asked for; the queue is a script that keeps what it is given."""
    bin, kept = tmp_path / "bin", tmp_path / "kept.sh"
    bin.mkdir()
    for name, body in {
        "sbatch": f'cp "$1" {kept}; echo Submitted batch job 42',
        "sacct": "printf 'JobID|State|NodeList\\n42_0|FAILED|n1\\n42_1|FAILED|n1\\n'",
        "srun": "exit 1",
        "scancel": "exit 0",
    }.items():
        (bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")
    monkeypatch.setattr("submitit.SlurmJob._results_timeout_s", 0)
    more = {"partition": "long", "account": "me", "mem": "20GB"}
    real = replace(slurm, cluster="", gpus=1, cpus=6, hours=2.5, parallel=1, more=more)
    failures = real.run(quick, [job(tmp_path / name) for name in "ab"])
    assert [one.reason.partition(";")[0] for one in failures] == [
        f"job 42_{i} of state FAILED: Job 42_{i} (task: 0) with path"
        f" {slurm.folder.resolve()}/jobs/42_{i}/42_{i}_0_result.pkl"
        for i in (0, 1)
    ]
    told = kept.read_text()
    for line in (
        "--array=0-1%1", "--partition=long", "--account=me", "--mem=20GB", "--gpus-per-node=1",
        "--cpus-per-task=6", "--time=150", "--signal=USR2@300", "--open-mode=append", "--nodes=1",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in told, line


def test_what_is_no_setting_of_sbatch_is_refused(tmp_path: Path, slurm: Slurm) -> None:
    with pytest.raises(SightwordError, match="submitit refuses what it is given: Unknown argument 'colour'"):
        replace(slurm, more={"colour": "red"}).run(quick, [job(tmp_path / "a")])


def test_where_there_is_no_slurm_it_is_said(
    tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SightwordError, match="there is no SLURM here"):
        replace(slurm, cluster="").run(quick, [job(tmp_path / "a")])


def test_as_many_at_once_as_the_array_lets(tmp_path: Path) -> None:
    assert Slurm(tmp_path, parallel=7).at_once(Config()) == 7
