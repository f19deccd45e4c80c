"""Profiles of real steps: whole, true, and gone again without a trace in the run."""

from __future__ import annotations

import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import MOCOV3, SIMCLR, opened, shard, tiny

from sightword.cli import main
from sightword.errors import SightwordError
from sightword.profiling import hints, kinds, parts, telling
from sightword.profiling.costs import Cost
from sightword.profiling.profiling import Profile, profile
from sightword.training.effort import Effort
from sightword.training.feed import Steps
from sightword.training.stepping import Stepper

OBJECTIVE = f"clip + {SIMCLR} + {MOCOV3}@90%"
RECORDS = Path(__file__).resolve().parents[2] / "docs" / "records.md"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shard(tmp_path_factory.mktemp("data") / "pairs.tar")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles") / "profile"


@pytest.fixture(scope="module")
def found(out: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))  # torch's own, kept
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("elsewhere")))
        found = profile(tiny(Path("nowhere"), data, OBJECTIVE, steps=0, epochs=3.0), 2, out)
        assert list(Path(tempfile.gettempdir()).iterdir()) == []  # cleaned up
    assert not Path("nowhere").exists()
    telling.write(found, out)
    return found


def test_every_part_is_there_by_its_own_name(found: Profile) -> None:
    """The late objective too, and its teacher."""
    both = {"towers.image", "towers.text", "objectives.clip", "objectives.simclr", "objectives.mocov3"}
    wanted = {(part, phase) for part in both for phase in ("forward", "backward")}
    wanted |= {("teachers.image_0", ""), (parts.DATA, ""), (parts.OPTIMIZER, ""), (parts.AFTER, "")}
    assert wanted <= {(cost.part, cost.phase) for cost in found.costs}


def test_costs_are_the_steps_time(found: Profile) -> None:
    assert sum(cost.seconds for cost in found.costs) == pytest.approx(found.profiled_seconds, rel=1e-2)
    assert found.seconds > 0
    assert 0 < found.effort.mfu <= 1
    assert 0 <= found.waited <= 1


def test_the_trace_is_one_that_viewers_read(found: Profile, out: Path) -> None:
    assert sorted(file.name for file in out.iterdir()) == ["profile.jsonl", "trace.json"]
    names = [event.get("name") for event in json.loads((out / "trace.json").read_text())["traceEvents"]]
    assert names.count("sightword.step") == found.steps
    assert names.count("sightword.towers.text") == found.steps
    assert "aten::addmm" in names


def test_records_are_complete_and_described(found: Profile, out: Path) -> None:
    records = [json.loads(line) for line in (out / "profile.jsonl").read_text().splitlines()]
    kinds_found = [record["kind"] for record in records]
    assert kinds_found == ["profile", *["cost"] * len(found.costs), *["largest"] * 3]
    shares = [record["share"] for record in records if record["kind"] == "cost"]
    assert sum(shares) == pytest.approx(1)
    assert [record["share"] for record in records[-3:]] == shares[:3]
    (section,) = re.findall(r"(?ms)^## profile\.jsonl$(.*?)(?=^## )", RECORDS.read_text(encoding="utf-8"))
    described = set(re.findall(r"`(\w+)`", section))
    assert {name for record in records for name in record} <= described | {"kind"}


def test_the_three_largest_are_named(found: Profile, out: Path) -> None:
    lines = list(telling.lines(found, out))
    for place, cost in enumerate(found.costs[:3], start=1):
        (line,) = (line for line in lines if line.startswith(f"{place}. "))
        assert re.fullmatch(rf"{place}\. {re.escape(str(cost))}: \d+% \([\d.]+ m?s a step\)", line)
    assert max(len(line) for line in lines[1:-1]) < 110
    assert str(out / "trace.json") in lines[-1]


def test_a_slow_data_path_is_the_largest_cost(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Steps.__getitem__

    def slowly(self: Steps, step: int) -> Any:
        time.sleep(0.3)
        return made(self, step)

    monkeypatch.setattr(Steps, "__getitem__", slowly)
    found = profile(tiny(tmp_path / "run", data), 1, tmp_path / "out")
    assert str(found.costs[0]) == "waiting for data"
    assert 0.29 < found.costs[0].seconds <= found.profiled_seconds
    assert found.waited > 0.5
    assert "--workers 1" in hints.hint(found.costs[0], found)


def test_a_costly_tower_is_the_largest_cost(tmp_path: Path, data: Path) -> None:
    """Wide and one layer deep: nearly all is its matrix products, two thirds of them backward."""
    config = tiny(tmp_path / "run", data)
    wide = replace(config.model.image, width=1024, heads=16)
    config = replace(config, model=replace(config.model, image=wide), batch_size=16)
    found = profile(config, 1, tmp_path / "out")
    products = [c for c in found.costs if c.operations == kinds.PRODUCTS and c.part == "towers.image"]
    assert [cost.phase for cost in products] == ["backward", "forward"]
    assert sum(cost.seconds for cost in products) > 0.3 * found.profiled_seconds


def hooks(model: torch.nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules())


def test_marks_change_nothing_and_are_taken_away(tmp_path: Path, data: Path) -> None:
    gradients = []
    for looked_on in (False, True):
        session = opened(tmp_path / str(looked_on), data, OBJECTIVE)
        stepper, model = Stepper(session), session.model
        steps = session.all_steps()
        before = hooks(model)
        if looked_on:
            with parts.marked(model, stepper):
                stepper.forward_backward(5, steps[5], measured=False, gradients=False)
                gradients.append([p.grad for p in model.parameters()])
                stepper.update(5)
                assert "after_step" in vars(model)
        else:
            stepper.forward_backward(5, steps[5], measured=False, gradients=False)
            gradients.append([p.grad for p in model.parameters()])
            stepper.update(5)
        assert hooks(model) == before
        assert "after_step" not in vars(model)
        assert not session.optimizer._optimizer_step_pre_hooks
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


def test_hints_are_of_the_run_that_was_looked_at(found: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(profile: Profile, part: str, kind: str, phase: str = "") -> str:
        return hints.hint(Cost(part, phase, kind, 1.0, 1.0), profile)

    def with_(**changes: Any) -> Profile:
        return replace(found, config=replace(found.config, **changes))

    image = ("towers.image", kinds.PRODUCTS, "backward")
    monkeypatch.setattr(hints, "resolve_precision", lambda config: "fp32")
    slow, fast = (replace(found, effort=Effort(mfu, 1e12, {"memory_mib": 1.0})) for mfu in (0.1, 0.8))
    assert told(slow, *image) == ""
    assert "80% of the measured peak" in told(fast, *image)
    monkeypatch.setattr(hints, "resolve_precision", lambda config: "bf16")
    assert "--precision bf16" in told(slow, *image)
    assert "--precision" not in told(with_(precision="bf16"), *image)
    assert "--grad-checkpointing" in told(with_(grad_checkpointing=True), *image)
    assert "3 chunks" in told(replace(found, chunks=3), *image)
    assert "chunks" not in told(replace(found, chunks=3), "objectives.clip", kinds.PRODUCTS, "backward")
    assert "--batch-size" in told(found, parts.OPTIMIZER, kinds.ELEMENTWISE)
    assert "--batch-size" in told(found, "towers.text", kinds.DISPATCH, "forward")
    assert told(found, "towers.text", kinds.NORMS, "forward") == ""
    gpu = replace(found, device="cuda:0")
    assert "--compile" in told(gpu, "towers.text", kinds.NORMS, "forward")
    assert "--compile" in told(gpu, parts.STEP, kinds.IDLE)
    compiled = replace(with_(compile=True), device="cuda:0")
    assert "--compile" not in told(compiled, parts.STEP, kinds.IDLE) + told(
        compiled, "towers.text", kinds.NORMS
    )
    decoding = replace(found, workers=2, making={"decode": 2.0, "views": 1.0})
    assert "--resize 256" in told(decoding, parts.DATA, kinds.WAITING)


def test_several_processes_are_refused(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SightwordError, match="without torchrun"):
        profile(tiny(tmp_path / "run", data), 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--set", "model.image.layers=1", "--set", "model.text.layers=1", "--set", "data.vocab=300"]
    run = ["--data", str(data), "--model", "vit-tiny", "--batch-size", "4", "--workers", "0", "--steps", "1"]
    main(["profile", *run, *small, "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert said.startswith("clip, vit-tiny, batch 4, ")
    assert "\n3. " in said
    assert (tmp_path / "out" / "trace.json").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "0"], "--steps is 0; give the number of steps to profile, 1 or more"),
        (["--objective", "clap"], "did you mean clip or mae-clip?"),
        (["--data", "nowhere.tar"], "nowhere.tar"),
        (["--batch-size", "1"], "--batch-size is 1"),
        (["--out", __file__], "choose another --out"),
    ],
)
def test_a_mistake_is_one_line(
    data: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ["--data", str(data), "--batch-size", "4", "--workers", "0", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main(["profile", *plain, *arguments])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
