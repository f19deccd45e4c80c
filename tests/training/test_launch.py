"""Several runs at once: all are run, failures are named and stop nobody else, a job can wait for others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.training import several_bars
from sightword.training.disk import alone_in
from sightword.training.launch import Launcher


def work(config: Config) -> None:
    """Stands in for a run: notes its process, its threads and when it ran."""
    out = Path(config.out)
    if config.objective == "fails":
        raise SightwordError("the disk is full")
    if config.objective == "dies":
        os._exit(9)
    (out / "began").write_text(str(time.time()))
    time.sleep(1.5)
    print("a line for the log", file=sys.stderr)
    (out / "ended").write_text(
        f"{time.time()} {os.getpid()} {os.environ['OMP_NUM_THREADS']} {os.getpriority(os.PRIO_PROCESS, 0)}"
    )


def job(out: Path, objective: str = "clip") -> Config:
    return replace(Config(), out=str(out), objective=objective)


def test_runs_side_by_side_each_in_its_own_process(tmp_path: Path) -> None:
    jobs = [lambda: job(tmp_path / "a"), lambda: job(tmp_path / "b")]
    Launcher(work, slots=2, nice=lambda config: 3 if config.out.endswith("b") else 0).run(jobs)
    ended = [(tmp_path / n / "ended").read_text().split() for n in "ab"]
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [int(e[3]) for e in ended] == [own, min(19, own + 3)]
    assert len({e[1] for e in ended} | {str(os.getpid())}) == 3
    assert {e[2] for e in ended} == {"1"}
    assert "a line for the log" in (tmp_path / "a" / "log.txt").read_text()


def test_no_more_at_once_than_slots(tmp_path: Path) -> None:
    Launcher(work, slots=1).run([lambda: job(tmp_path / "a"), lambda: job(tmp_path / "b")])
    first_end = float((tmp_path / "a" / "ended").read_text().split()[0])
    assert float((tmp_path / "b" / "began").read_text()) > first_end


def test_a_job_waits_for_what_it_needs(tmp_path: Path) -> None:
    def later() -> Config | None:
        return job(tmp_path / "b") if (tmp_path / "a" / "ended").exists() else None

    Launcher(work, slots=2).run([later, lambda: job(tmp_path / "a")])
    assert (tmp_path / "b" / "ended").exists()


def warned(config: Config) -> None:
    """Stands in for a run that was told that something is wrong."""
    step = {"kind": "step", "step": 5, "loss": 1.5, "samples_per_second": 9.0, "mfu": 0.31, "data_wait": 0.0}
    lines = [{"kind": "start", "steps_total": 9}, step, *[{"kind": "warning", "sign": "collapse"}] * 2]
    Path(config.out, "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    time.sleep(1)


def test_warnings_of_runs_are_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several_bars, "SPEAK", 0.0)
    Launcher(warned, slots=1).run([lambda: job(tmp_path / "ill")])
    assert (
        "ill 5/9 loss 1.500, 9/s, 31% of peak, data wait 0%, warnings: collapse (see its log.txt)"
        in capfd.readouterr().err
    )


def test_failures_are_named_and_stop_nobody(tmp_path: Path) -> None:
    jobs = [
        lambda: job(tmp_path / "a", "fails"),
        lambda: job(tmp_path / "b"),
        lambda: job(tmp_path / "c", "dies"),
    ]
    with pytest.raises(SightwordError, match=r"2 of 3 runs failed.*the disk is full"):
        Launcher(work, slots=2).run(jobs)
    assert (tmp_path / "b" / "ended").exists()


def test_a_job_that_can_never_start_is_said(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="wait for what never came"):
        Launcher(work, slots=2).run([lambda: None])


def linger(config: Config) -> None:
    """Stands in for a long run that saves when it is asked to end."""
    out = Path(config.out)

    def save(number: int, frame: object) -> None:
        (out / "saved").write_text(signal.Signals(number).name)
        os._exit(0)

    signal.signal(signal.SIGTERM, save)
    (out / "began").write_text("")
    time.sleep(60)


_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_launch import job, linger
from sightword.errors import SightwordError
from sightword.training.launch import Launcher
if __name__ == "__main__":
    try:
        Launcher(linger, slots=1).run([lambda: job(Path({out!r}))])
    except SightwordError as error:
        print(error)
        sys.exit(2)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_runs_save_and_end_when_their_launcher_is_asked_to_or_dies(tmp_path: Path, number: int) -> None:
    script, out = tmp_path / "go.py", tmp_path / "a"
    script.write_text(_SCRIPT.format(tests=str(Path(__file__).parent), out=str(out)))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    until((out / "began").exists)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    until((out / "saved").exists)
    assert (out / "saved").read_text() == "SIGTERM"
    if number != signal.SIGKILL:
        assert process.returncode == 2
        assert "the same command goes on" in said


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.1)


def test_one_process_at_a_time_in_a_directory(tmp_path: Path) -> None:
    with (
        alone_in(tmp_path),
        pytest.raises(SightwordError, match="another process is training"),
        alone_in(tmp_path),
    ):
        pass
    with alone_in(tmp_path):
        pass
