"""Runs by Ray: carried out, failures told, tried again when their node is lost, saved when asked to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins import begun, job, patient, quick, until

from sightword.errors import SightwordError
from sightword.study.launching.ray import Ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ray]:
    """This machine as a cluster with two CPUs."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'sightword[ray]'")
    with pytest.MonkeyPatch.context() as patch:  # its workers find what stands in for work
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        ray.init(num_cpus=2, num_gpus=0, log_to_driver=False, include_dashboard=False)
    yield Ray(gpus=0, cpus=1)
    ray.shutdown()


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SightwordError, match=r"run: pip install 'sightword\[ray\]'"):
        Ray().run(quick, [job(tmp_path / "a")])


def test_what_cannot_be_asked_for(tmp_path: Path, cluster: Ray) -> None:
    with pytest.raises(SightwordError, match="a run has 1 GPUs and 0 CPUs"):
        Ray(cpus=0)
    with pytest.raises(SightwordError, match="no machine of the Ray cluster has 3 CPUs and 0 GPUs"):
        Ray(cpus=3, gpus=0).run(quick, [job(tmp_path / "a")])


def test_all_are_carried_out_and_failures_told(tmp_path: Path, cluster: Ray) -> None:
    configs = [job(tmp_path / "a", "fails"), job(tmp_path / "b"), job(tmp_path / "c", "dies")]
    assert cluster.at_once(configs[0]) == 2
    failures = {Path(one.out).name: one.reason for one in cluster.run(quick, configs)}
    assert failures == {
        "a": "sightword: the disk is full",
        "c": "killed by SIGKILL; its last words: it said nothing",
    }
    assert (tmp_path / "b" / "ended").read_text().split()[1::2] == ["1", os.getcwd()]


def test_a_run_whose_node_is_lost_is_tried_again_and_goes_on(tmp_path: Path, cluster: Ray) -> None:
    """The worker that has the task dies; its child saves."""
    out = tmp_path / "a"

    def lose_the_node() -> None:
        until(begun(out, 1))
        os.kill(int((out / "begun").read_text().split()[1]), signal.SIGKILL)
        until(begun(out, 2))
        (out / "enough").touch()

    thread = threading.Thread(target=lose_the_node)
    thread.start()
    assert cluster.run(patient, [job(out)]) == []
    thread.join()
    assert len((out / "begun").read_text().splitlines()) == 2


def test_a_signal_makes_every_run_save(tmp_path: Path, cluster: Ray) -> None:
    names = ["a", "b"]

    def stop() -> None:
        until(lambda: all(begun(tmp_path / name, 1)() for name in names))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(SightwordError, match="SIGTERM: the runs on ray were told to save and end; the same"):
        cluster.run(patient, [job(tmp_path / name) for name in names])
    thread.join()
    assert [(tmp_path / name / "count").read_text() for name in names] == ["1", "1"]
