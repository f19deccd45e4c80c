"""What a run says about itself: complete, consistent, never twice, and read back whatever happened."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tiny_runs import MAE, SIMCLR, stop_at, tiny

from sightword.errors import SightwordError
from sightword.pairs.order import Order
from sightword.pairs.sources import open_pairs
from sightword.training.loop import resume_training, train
from sightword.training.meters import Stopwatch
from sightword.training.optimizer import learning_rate
from sightword.training.records import Records, code_version, flatten, read_records

START = (
    "run objective model code_version torch device data_hash order_hash config_hash tokenizer_hash"
    " samples_total steps_total pairs left_out batch_size parameters parameters_trained flops_per_step time"
    " precision threads gemm_peak_tflops float32_matmul"
)
STEP = (
    "step samples epoch flops loss lr grad_norm logit_scale logit_scale_at_most temperature features"
    " samples_per_second data_wait data_seconds step_seconds tflops_per_second terms time"
    " mfu gemm_peak_tflops memory_mib"
)
OBJECTIVE = f"clip + 0.5 * {SIMCLR} + 2 * {MAE}@50%"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    config = tiny(tmp_path_factory.mktemp("runs") / "run", data, OBJECTIVE, save_every=4)
    return train(config, say=lambda said: None)


@pytest.fixture(scope="module")
def records(run: Path) -> list[dict]:
    return read_records(run / "metrics.jsonl")


def test_the_kinds_come_in_their_order(records: list[dict]) -> None:
    """A save is noted when it is published, which may be some steps after it was begun."""
    saves = [r["step"] for r in records if r["kind"] == "save"]
    others = [r for r in records if r["kind"] != "save"]
    assert saves == [4, 6]
    assert [r["kind"] for r in others] == ["start", *["step"] * 6, "end"]
    assert [r["step"] for r in others] == [0, 1, 2, 3, 4, 5, 6, 6]


def test_the_start_says_what_is_compared(records: list[dict], data: Path) -> None:
    start = records[0]
    assert set(START.split()) <= start.keys()
    pairs = open_pairs(str(data))
    assert start["data_hash"] == pairs.data_hash
    assert start["order_hash"] == Order(pairs.counts, 0, 8).digest(8)
    assert start["code_version"] == code_version()
    assert (start["run"], start["objective"], start["model"]) == ("run", OBJECTIVE, "tiny")
    assert (start["samples_total"], start["steps_total"], start["pairs"]) == (48, 6, 40)
    assert 0 < start["parameters"] < start["parameters_trained"]


def test_every_step_says_everything(records: list[dict]) -> None:
    steps = [r for r in records if r["kind"] == "step"]
    for number, step in enumerate(steps, start=1):
        measured = {"grad_cosines"} if number in (1, 5, 6) else set()
        assert step.keys() == {"kind", *STEP.split()} | measured
        assert (step["step"], step["samples"], step["epoch"]) == (number, 8 * number, (number - 1) // 5)
        assert 0 <= step["data_wait"] <= 1
        assert step["samples_per_second"] * step["step_seconds"] == pytest.approx(8)
        assert step["mfu"] * step["gemm_peak_tflops"] == pytest.approx(step["tflops_per_second"])
        assert 0 < step["mfu"] <= 1
        assert step["gemm_peak_tflops"] >= records[0]["gemm_peak_tflops"]
        assert 50 < step["memory_mib"] < 100_000
        assert step["lr"] == learning_rate(tiny(Path(), Path()).optimizer, number - 1, 6)
        assert 0 < step["logit_scale"] <= 100
        assert step["grad_norm"] > 0


def test_the_terms_sum_to_the_loss(records: list[dict]) -> None:
    steps = [r for r in records if r["kind"] == "step"]
    assert [sorted(step["terms"]) for step in steps] == [["clip", "simclr"]] * 3 + [
        ["clip", "mae", "simclr"]
    ] * 3
    for step in steps:
        terms = step["terms"].values()
        assert step["loss"] == pytest.approx(sum(t["weight"] * t["loss"] for t in terms), rel=1e-5)
        assert {n: t["weight"] for n, t in step["terms"].items()}.items() <= {
            "clip": 1,
            "simclr": 0.5,
            "mae": 2,
        }.items()
    measured = [step["step"] for step in steps if "grad_norm" in step["terms"]["clip"]]
    assert measured == [1, 5, 6]


def test_flops_add_up_and_rise_when_an_objective_starts(records: list[dict]) -> None:
    steps = [r for r in records if r["kind"] == "step"]
    spent = [0.0, *(step["flops"] for step in steps)]
    each = [after - before for before, after in pairwise(spent)]
    assert each[0] == records[0]["flops_per_step"]
    assert each[0] == pytest.approx(each[1]) == pytest.approx(each[2])
    assert each[3] == pytest.approx(each[4]) == pytest.approx(each[5])
    assert 1.1 < each[3] / each[0] < 2
    end = records[-1]
    assert (end["step"], end["samples"], end["flops"]) == (6, 48, spent[-1])
    assert end["seconds"] == pytest.approx(sum(s["step_seconds"] for s in steps), rel=0.01)


def test_a_term_s_gradient_norm_is_its_own(tmp_path: Path, data: Path) -> None:
    """A weight changes the whole gradient and no term's own norm."""
    norms = []
    for weight in (1, 3):
        config = tiny(tmp_path / str(weight), data, f"{weight} * clip + {SIMCLR}", steps=1)
        (step,) = (r for r in read_records(train(config) / "metrics.jsonl") if r["kind"] == "step")
        norms.append(
            (step["terms"]["clip"]["grad_norm"], step["terms"]["simclr"]["grad_norm"], step["grad_norm"])
        )
    assert norms[0][:2] == pytest.approx(norms[1][:2], rel=1e-4)
    assert norms[0][2] != pytest.approx(norms[1][2], rel=1e-2)


def test_resuming_drops_what_was_after_it(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data, zeroshot_frequency=1), stop_at(3), lambda said: None)
    metrics = out / "metrics.jsonl"
    with metrics.open("a") as file:  # as a kill at step 5 would have left it
        for step in (4, 5):
            file.write(json.dumps({"kind": "step", "step": step, "loss": -1.0}) + "\n")
        file.write('{"kind": "step", "st')
    resume_training(out, say=lambda said: None)
    found = read_records(metrics)
    assert [r["step"] for r in found if r["kind"] == "step"] == [1, 2, 3, 4, 5, 6]
    assert [r["kind"] for r in found].count("start") == 1
    assert all(r["loss"] > 0 for r in found if r["kind"] == "step")


def test_a_torn_last_line_is_left_out_and_another_is_told(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    assert read_records(file) == []
    file.write_bytes(b'{"kind": "start"}\n{"kind": "st')
    assert read_records(file) == [{"kind": "start"}]
    file.write_bytes(b'{"kind": "start"}\n{"kind"\n{"kind": "end"}\n')
    with pytest.raises(SightwordError, match="line 2 is no record"):
        read_records(file)


def test_every_line_is_json_that_others_read(tmp_path: Path) -> None:
    """NaN and infinity are not JSON."""
    with Records(tmp_path / "metrics.jsonl", 0) as records:
        records.write("step", step=1, loss=1.5, terms={"a": {"odd": math.nan, "huge": math.inf}})

    def refuse(name: str) -> None:
        raise AssertionError(name)

    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    found = json.loads(line, parse_constant=refuse)
    assert found["terms"] == {"a": {"odd": None, "huge": None}}
    assert found["loss"] == 1.5


def test_scores_while_training_are_recorded(tmp_path: Path, data: Path) -> None:
    seen: list[tuple[int, int]] = []

    def watch(model: object) -> list[dict[str, object]]:
        seen.append((model.step, model.samples))  # type: ignore[attr-defined]
        return [{"metric": "acc1", "value": 0.25}]

    config = tiny(tmp_path / "run", data, zeroshot_frequency=4)
    found = [r for r in read_records(train(config, watch) / "metrics.jsonl") if r["kind"] == "score"]
    assert seen == [(4, 32), (6, 48)]
    assert [(r["step"], r["samples"], r["metric"], r["value"]) for r in found] == [
        (4, 32, "acc1", 0.25),
        (6, 48, "acc1", 0.25),
    ]


def test_tensorboard_gets_every_number(tmp_path: Path, data: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny(tmp_path / "run", data, report_to=("tensorboard",), zeroshot_frequency=1)
    out = train(config, stop_at(3), lambda said: None)
    resume_training(out, say=lambda said: None)
    read = events.EventAccumulator(str(out / "tensorboard"))
    read.Reload()
    wanted = {r["step"]: r["loss"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"}
    assert {e.step: e.value for e in read.Scalars("loss")} == pytest.approx(wanted, rel=1e-6)
    assert len(read.Scalars("loss")) == 6
    assert "terms/clip/loss" in read.Tags()["scalars"]


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_missing_package_is_told_before_anything_is_written(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    modules = {"wandb": "wandb", "tensorboard": "torch.utils.tensorboard"}
    monkeypatch.setitem(sys.modules, modules[name], None)
    with pytest.raises(SightwordError, match=rf"pip install 'sightword\[{name}\]'"):
        train(tiny(tmp_path / "run", data, report_to=(name,)))
    assert not (tmp_path / "run").exists()


def test_an_unknown_sink_suggests_the_nearest(tmp_path: Path, data: Path) -> None:
    with pytest.raises(SightwordError, match="did you mean tensorboard"):
        train(replace(tiny(tmp_path / "run", data), report_to=("tensorbord",)))


def test_weights_and_biases_goes_on_in_the_same_run(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the package, which notes what it is told."""
    told: list[tuple[str, object]] = []

    class Run:
        def log(self, values: dict[str, float], step: int) -> None:
            told.append(("log", (step, values["loss"], values["terms/clip/loss"])))

        def finish(self) -> None:
            told.append(("finish", None))

    class Wandb:
        class util:  # noqa: N801
            @staticmethod
            def generate_id() -> str:
                return "abc123"

        @staticmethod
        def init(**arguments: object) -> Run:
            told.append(("init", (arguments["id"], arguments["resume"], arguments["name"])))
            return Run()

    monkeypatch.setitem(sys.modules, "wandb", Wandb)
    config = tiny(tmp_path / "run", data, report_to=("wandb",), zeroshot_frequency=1)
    out = train(config, stop_at(4), lambda said: None)
    resume_training(out, say=lambda said: None)
    assert [value for kind, value in told if kind == "init"] == [("abc123", "allow", "run")] * 2
    losses = [r["loss"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
    assert [value for kind, value in told if kind == "log"] == [
        (i, x, x) for i, x in enumerate(losses, start=1)
    ]
    assert [kind for kind, _ in told].count("finish") == 2


def test_flatten_names_numbers_by_their_path() -> None:
    record = {"kind": "step", "step": 3, "loss": 1, "time": 9.0, "terms": {"a": {"loss": 2.5, "odd": None}}}
    assert flatten(record) == [("loss", 1.0), ("terms/a/loss", 2.5)]


def test_the_stopwatch_counts_steps_and_waiting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("sightword.training.meters.time.perf_counter", lambda: now[0])
    watch = Stopwatch()
    for wait, work in ((1.0, 3.0), (0.5, 3.5)):
        with watch.waiting():
            now[0] += wait
        now[0] += 50.0  # scoring and saving
        with watch.working():
            now[0] += work
    assert watch.read() == (4.0, 1.5 / 8.0)
    assert watch.total == 8.0
    with watch.waiting():
        now[0] += 1.0
    with watch.working():
        now[0] += 1.0
    assert watch.read() == (2.0, 0.5)
    assert watch.total == 10.0
