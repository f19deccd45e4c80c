"""Plans: hours, input, checkpoints and cost by hand; what does not fit, and what would."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from small_shard import small_shard
from test_rehearsal import PLAIN, SIMCLR

from sightword.cli import main
from sightword.errors import SightwordError
from sightword.planning import devices
from sightword.planning.dry_run import dry_run
from sightword.planning.estimate import Asked, Plan, make_plan
from sightword.planning.fitting import Way
from sightword.planning.memory import needed
from sightword.planning.telling import record, refusal, said, show
from sightword.training.feed import Steps

H100 = devices.find("h100")
CONFIG = replace(PLAIN, batch_size=64, ranks=1, steps=0, epochs=3.0)
COUNTED = replace(CONFIG, data=replace(CONFIG.data, path="nowhere"), steps=20, epochs=0.0, parallel="ddp")
SMALL = ("--set", "model.image.layers=1", "--set", "model.text.layers=1", "--set", "data.vocab=300")
TINY = ("--objective", "clip", "--model", "vit-tiny", "--batch-size", "4", *SMALL)


@pytest.fixture(scope="module")
def plan() -> Plan:
    asked = Asked(4, H100, mfu=0.5, gpus_per_host=2, pairs=1000, sample_bytes=50e3, disk_rate=2e6, price=3.0)
    return make_plan(CONFIG, asked)


def test_time_and_cost_by_hand(plan: Plan) -> None:
    steps = 3 * (1000 // 64)
    rate = 4 * 0.5 * 989e12 / plan.computed_per_sample
    hours = steps * 64 / rate / 3600
    assert (plan.steps, plan.samples, plan.rows, plan.hosts) == (steps, steps * 64, 16, 2)
    assert plan.samples_per_second == pytest.approx(rate)
    assert plan.hours == pytest.approx(hours)
    assert plan.cost == pytest.approx(hours * 4 * 3.0)
    assert plan.pictures_per_host == pytest.approx(rate / 2)
    assert plan.read_per_host == pytest.approx(rate / 2 * 50e3)
    assert plan.checkpoint_seconds == pytest.approx(plan.sizes.checkpoint / 2e6)
    assert plan.flops_per_sample == plan.computed_per_sample, "nothing is computed twice"


def test_other_pictures_are_read_too(plan: Plan) -> None:
    config = replace(CONFIG, objective=SIMCLR, data=replace(CONFIG.data, sight="elsewhere"))
    both = make_plan(config, plan.asked)
    assert both.pictures_per_host == pytest.approx(2 * both.samples_per_second / 2)
    assert both.sizes.views == 3


def test_a_record_has_every_number_and_tables_show_them(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(json.dumps(record(plan, "mine")))
    assert told["kind"] == "plan"
    assert told["fits"] is True
    assert told["memory_peak"] == sum(told["memory_at_peak"].values())
    assert sum(told["parameters"].values()) == plan.sizes.total
    show(plan, "mine")
    shown = " ".join(capsys.readouterr().out.split())  # long rows are broken
    for word in ("image tower", "peak", "hours", "checkpoint", "pictures a second"):
        assert word in shown


def test_a_checkpoint_is_as_large_as_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = small_shard(tmp_path / "pairs.tar", 32), tmp_path / "run"
    main(["train", "--data", str(data), *TINY, "--steps", "2", "--workers", "0", "--out", str(out)])
    capsys.readouterr()
    main(["plan", str(out), "--json"])
    told = json.loads(capsys.readouterr().out)
    newest = max((out / "checkpoints").glob("step-*"))
    on_disk = sum(file.stat().st_size for file in newest.rglob("*") if file.is_file())
    assert told["checkpoint_bytes"] == pytest.approx(on_disk, rel=0.05)
    assert told["published_bytes"] == pytest.approx((out / "model.safetensors").stat().st_size, rel=0.05)
    assert (told["pairs"], told["steps_total"], told["global_batch"]) == (32, 2, 4)


@pytest.mark.slow
def test_what_does_not_fit_is_refused_with_what_would() -> None:
    """The device has room for half of what the step takes; the chunk that is told is the largest."""
    config = replace(CONFIG, batch_size=256, steps=10, epochs=0.0)
    room = needed(config, 1).most.peak / 2
    plan = make_plan(config, Asked(1, replace(H100, name="small", memory=room), headroom=0.0))
    assert not plan.fits
    ways = {said(way).split()[0]: way for way in plan.ways}
    assert {"--grad-checkpointing", "--chunk"} <= set(ways)
    way = ways["--chunk"]
    assert way.fits
    assert way.peak <= room
    assert way.flops == pytest.approx(4 / 3, abs=0.05), "one more forward pass beside one and a backward"
    fewer = math.ceil(256 / int(way.flags.split()[-1])) - 1
    assert needed(replace(config, chunk=math.ceil(256 / fewer)), 1).most.peak > room
    assert way.flags in refusal(plan)
    assert "\n" not in refusal(plan)


def test_a_refusal_names_what_fits_alone(plan: Plan) -> None:
    ways = (Way("--chunk 8", 4, 1 << 30, True, 1.3), Way("more GPUs", 8, 1 << 40, False, 1.0))
    told = refusal(replace(plan, ways=ways))
    assert "--chunk 8 (1.00 GiB)" in told
    assert "--gpus 8" not in told
    assert "larger device" in refusal(plan)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--device", "h1000"], "unknown device 'h1000'; did you mean h100"),
        (["--device", "mine", "--memory-gib", "0", "--tflops", "1"], "unknown device 'mine'"),
        (["--gpus", "0"], "--gpus is 0"),
        (["--mfu", "1.5"], "--mfu is a share"),
        (["--headroom", "1"], "--headroom is a share"),
        (["--sample-kb", "0"], "must be above zero"),
        (["--gpus", "3", "--set", "ranks=2"], "8 samples, which 3 processes cannot share"),
        (["--steps", "5", "--epochs", "1"], "both --steps and --epochs"),
        (["--memory-gib", "0.02", "--steps", "5"], "needs"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["plan", *TINY, *arguments])
    complaint = capsys.readouterr().err.strip()
    assert end.value.code == 2
    assert told in complaint
    assert "\n" not in complaint


def test_devices_can_be_described() -> None:
    own = devices.find("mine", memory_gib=48, tflops=100)
    assert (own.memory, own.bf16_flops) == (48 * 2**30, 1e14)
    assert devices.find("a100", memory_gib=39).memory == 39 * 2**30
    for name in devices.names():
        known = devices.find(name)
        assert 1e13 < known.bf16_flops < 1e16, name
        assert 16 * 2**30 < known.memory < 400 * 2**30, name
    assert devices.corpus_pairs("yfcc15m") == 14_689_580
    assert devices.corpus_pairs("mine") == 0


def test_dry_run_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    """Sixteen processes, counted pairs; each process has its own rows of one step."""
    config = replace(COUNTED, batch_size=32)
    found = dry_run(config, 16, 100_000, lambda what: None)
    assert [one["rank"] for one in found["ranks"]] == [0, 8, 15]
    assert [(one["first"], one["last"]) for one in found["ranks"]] == [(0, 1), (16, 17), (30, 31)]
    assert found["counted"]
    assert found["shards"] == 10
    assert all(one["shapes"] == [[2, 3, 64, 64], [2, 12]] for one in found["ranks"])


def test_dry_run_finds_slices_that_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Steps, "own_rows", property(lambda self: slice(0, 2)))
    config = replace(COUNTED, batch_size=8)
    with pytest.raises(SightwordError, match="would not see each of its samples once"):
        dry_run(config, 4, 1000, lambda what: None)


def test_dry_run_reads_what_lies_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = small_shard(tmp_path / "pairs.tar", 32)
    main(["plan", "--data", str(data), *TINY, "--steps", "9", "--gpus", "2", "--dry-run", "--json"])
    told = json.loads(capsys.readouterr().out)["dry_run"]
    assert (told["pairs"], told["counted"]) == (32, False)
