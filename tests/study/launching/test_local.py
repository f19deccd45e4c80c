"""Runs on this machine: all carried out, failures given back, GPUs shared out; killed, they go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_studies import labelled, pairs, run
from stand_ins import begun, job, patient, quick, until
from tiny_runs import assert_same_tensors

from sightword.errors import SightwordError
from sightword.study.launching import local
from sightword.study.launching.launcher import title_of
from sightword.study.launching.local import Local, gpus_for
from sightword.study.work import Work, finished
from sightword.training.records import read_records


def test_failures_come_back_and_stop_nobody(tmp_path: Path) -> None:
    configs = [job(tmp_path / "a", "fails"), job(tmp_path / "b"), job(tmp_path / "c", "dies")]
    failures = {Path(one.out).name: one.reason for one in Local(slots=2).run(quick, configs)}
    assert failures == {
        "a": "sightword: the disk is full",
        "c": "killed by SIGKILL; its last words: it said nothing",
    }
    assert (tmp_path / "b" / "ended").exists()
    assert Local().run(quick, []) == []


def test_a_slot_for_each_gpu_and_a_gpu_for_each_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus_for", lambda config: ["3", "GPU-7"])
    assert Local().at_once(job(tmp_path)) == 2
    assert Local(slots=3).run(quick, [job(tmp_path / name, "waits") for name in "abc"]) == []
    seen = sorted((tmp_path / name / "ended").read_text().split()[2] for name in "abc")
    assert seen == ["3", "3", "GPU-7"]


def test_which_gpus_runs_are_spread_among(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    anywhere, named = (run(tmp_path, tmp_path, device=device) for device in ("auto", "cuda:1"))
    assert gpus_for(anywhere) == ["0", "1", "2"]
    assert gpus_for(named) == gpus_for(job(tmp_path)) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5")
    assert gpus_for(anywhere) == ["2", "GPU-5"]


def test_cores_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(12)))
    config = job(tmp_path)
    assert (Local().at_once(config), Local().threads_of(config)) == (12, 1)
    assert Local(slots=5).threads_of(config) == 2
    assert Local(slots=5, threads=3).threads_of(config) == 3
    monkeypatch.setattr(local, "gpus_for", lambda config: ["0", "1"])
    assert (Local().at_once(config), Local().threads_of(config)) == (2, 6)
    with pytest.raises(SightwordError, match="slots are -1"):
        Local(slots=-1)


def test_runs_are_called_by_the_end_of_their_path() -> None:
    assert title_of(job(Path("out/runs/vit-tiny/1000/seed0/clip"))) == "vit-tiny/1000/seed0/clip"


_STUDY = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from small_studies import run
from sightword.study.launching.local import Local
from sightword.study.work import Work

if __name__ == "__main__":
    out, data, place = map(Path, sys.argv[1:])
    configs = [run(out / str(seed), data, seed=seed, steps=80, save_every=5) for seed in (0, 1)]
    print(Local(slots=2).run(Work((str(place),), ("knn",)), configs))
"""


@pytest.mark.slow
def test_a_study_whose_processes_are_killed_goes_on_and_ends_with_the_same(tmp_path: Path) -> None:
    """SIGKILL to its group while both runs train: what was saved is kept, and the end is the same bits."""
    data, place, script = pairs(tmp_path), labelled(tmp_path / "colours"), tmp_path / "study.py"
    script.write_text(_STUDY.format(path=[path for path in sys.path if path]))
    outs = [tmp_path / "runs" / str(seed) for seed in (0, 1)]

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / "runs"), str(data), str(place)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def steps(out: Path) -> list[tuple[int, float]]:
        return [(r["step"], r["time"]) for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]

    process = start()
    until(lambda: all(len(steps(out)) > 10 for out in outs))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not any(finished(out, Work((str(place),), ("knn",))) for out in outs)
    before = [steps(out)[:5] for out in outs]
    assert start().communicate(timeout=120)[0].strip() == "[]"
    for out, first in zip(outs, before, strict=True):
        assert finished(out, Work((str(place),), ("knn",)))
        assert [step for step, _ in steps(out)] == list(range(1, 81))
        assert steps(out)[:5] == first, "it began anew"
    whole = run(tmp_path / "whole", data, seed=1, steps=80)
    Work((str(place),), ("knn",))(whole)
    assert_same_tensors(outs[1] / "model.safetensors", Path(whole.out) / "model.safetensors")


def test_a_signal_makes_every_run_save(tmp_path: Path) -> None:
    configs = [job(tmp_path / name) for name in "ab"]
    pid = os.fork()
    if pid == 0:
        until(lambda: all(begun(tmp_path / name, 1)() for name in "ab"))
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(0)
    with pytest.raises(SightwordError, match="SIGTERM: every run is saved; the same command goes on"):
        Local(slots=2).run(patient, configs)
    os.waitpid(pid, 0)
    assert [(tmp_path / name / "count").read_text() for name in "ab"] == ["1", "1"]
