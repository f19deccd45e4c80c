"""The fault campaign of `bench/faults.py` in small, and its judges: what they must see, they see."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.append(str(BENCH))

import _campaign  # noqa: E402
import _verdicts  # noqa: E402
import faults  # noqa: E402
from _disturbed import Aim, Plan  # noqa: E402
from _kinds import KINDS  # noqa: E402
from _lives import Suffered  # noqa: E402
from _moments import Kind  # noqa: E402
from _torn import torn  # noqa: E402
from _verdicts import Whole  # noqa: E402

from sightword.training.saving.manifest import FILE, row_of, write_manifest  # noqa: E402

SEVERAL = (
    "kill: writing a checkpoint", "checkpoint: bit flipped", "loader killed",
    "power cut: not flushed", "SIGTERM", "kill: after the last step",
)  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[faults.Campaign]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("SIGHTWORD_CACHE", str(folder / "cache"))
        yield faults.Campaign(folder, seed=3, jobs=1)


@pytest.mark.slow
def test_a_run_ends_the_same_through_several_faults(small: faults.Campaign) -> None:
    suffered = small.run([_campaign.Drawn(0, "1 process", SEVERAL)])
    assert [one.wrong for one in suffered] == [[]] * len(SEVERAL)
    assert [one.kind for one in suffered if one.struck] == list(SEVERAL)


@pytest.mark.slow
def test_a_checkpoint_that_was_changed_unseen_would_be_caught(
    small: faults.Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights altered together with their manifest: the product cannot notice, the judges must."""
    monkeypatch.setitem(KINDS, "tampered", Kind(torn(tamper)))
    (one,) = small.run([_campaign.Drawn(1, "1 process", ("tampered",))])
    assert {what for what, _ in one.wrong} == {"weights", "records"}


def tamper(folders: list[Path], chance: Random) -> str:
    folder = folders[-1]
    weights = next(folder.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1  # of the last number: the sign or exponent of one parameter or moment
    weights.write_bytes(content)
    names = json.loads((folder / FILE).read_text())
    write_manifest(folder, {name: row_of(folder / name) for name in names})
    return "altered"


def test_a_campaign_is_drawn_by_its_seed_and_is_large_enough() -> None:
    drawn = _campaign.draw(_campaign.FULL, 5)
    assert drawn == _campaign.draw(_campaign.FULL, 5)
    assert drawn != _campaign.draw(_campaign.FULL, 6)
    assert len({life.number for life in drawn}) == len(drawn)
    kinds = [kind for life in drawn for kind in life.kinds]
    for shape, counts in _campaign.FULL.items():
        mine = [kind for life in drawn if life.shape == shape for kind in life.kinds]
        assert {kind: mine.count(kind) for kind in counts} == counts
    assert sum(kind.startswith("kill") for kind in kinds) >= 100
    assert sum(kind.startswith("checkpoint") for kind in kinds) >= 20
    assert set(KINDS) == set(kinds)
    for life in drawn:
        places = [KINDS[kind].place for kind in life.kinds]
        assert "first" not in places[1:]
        assert "last" not in places[:-1]


# The judges, on a small made-up run.


def run(folder: Path) -> Whole:
    """Four steps that two ranks were given, records, weights and one checkpoint."""
    out = folder / "run"
    newest = out / "checkpoints" / "step-00000004"
    newest.mkdir(parents=True)
    for place in (out / "model.safetensors", newest / "rank-00000.safetensors"):
        place.write_bytes(b"weights")
    (newest / "state.json").write_text('{"step": 4, "seconds": 1.5}')
    kinds = [{"kind": "start", "step": 0}, *({"kind": "step", "step": s, "loss": 1 / s} for s in range(1, 5))]
    write(out, [*kinds, {"kind": "save", "step": 4}, {"kind": "end", "step": 4}])
    trace = [batch(step, rank) for rank in (0, 1) for step in range(4)]
    return Whole(out, trace)


def write(out: Path, records: list[dict[str, Any]]) -> None:
    (out / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def batch(step: int, rank: int, attempt: int = 0) -> dict[str, Any]:
    place = {"attempt": attempt, "restart": 0, "rank": rank}
    return {"what": "batch", **place, "step": step, "digest": f"{step} of {rank}"}


def kinds(found: Iterator[tuple[str, str]]) -> list[str]:
    return [what for what, _ in found]


def test_wrong_batches_are_seen(tmp_path: Path) -> None:
    whole = run(tmp_path)
    judge = _verdicts.wrong_batches
    resumed = [
        batch(s, r, a) for r in (0, 1) for a, steps in ((0, range(3)), (1, range(2, 4))) for s in steps
    ]
    assert kinds(judge(resumed, whole)) == []
    other = [{**line, "digest": "3 of 1"} if line is resumed[1] else line for line in resumed]
    skipped = [line for line in resumed if (line["step"], line["attempt"]) != (1, 0)]
    lacking = [line for line in resumed if line["step"] != 3 or line["rank"] != 1]
    for wrong in (other, skipped, lacking):
        assert set(kinds(judge(wrong, whole))) == {"batches"}


def test_other_weights_are_seen(tmp_path: Path) -> None:
    ours, theirs = run(tmp_path / "ours").out, run(tmp_path / "theirs").out
    judge = _verdicts.wrong_weights
    state = ours / "checkpoints" / "step-00000004" / "state.json"
    state.write_text('{"step": 4, "seconds": 9.5}')
    assert kinds(judge(ours, theirs)) == []
    state.write_text('{"step": 3, "seconds": 9.5}')
    assert kinds(judge(ours, theirs)) == ["weights"]
    state.unlink()
    (ours / "model.safetensors").write_bytes(b"weightz")
    assert kinds(judge(ours, theirs)) == ["weights", "weights"]


def test_wrong_records_are_seen(tmp_path: Path) -> None:
    ours, theirs = run(tmp_path / "ours").out, run(tmp_path / "theirs").out
    judge, whole = _verdicts.wrong_records, [json.loads(x) for x in (ours / "metrics.jsonl").open()]
    assert kinds(judge(ours, theirs)) == []
    write(ours, [{**record, "time": 7.0} for record in whole])
    assert kinds(judge(ours, theirs)) == []
    twice, missing = [*whole[:3], whole[2], *whole[3:]], [*whole[:3], *whole[4:]]
    swapped = [*whole[:2], whole[3], whole[2], *whole[4:]]
    other = [{**record, "loss": 0.0} if record["kind"] == "step" else record for record in whole]
    for wrong in (twice, missing, swapped, other, whole[1:], whole[:-1], [*whole, whole[-1]]):
        write(ours, wrong)
        assert kinds(judge(ours, theirs)) == ["records"]
    write(ours, whole)
    (ours / "quarantine.jsonl").write_text('{"key": "0017", "reason": "?"}\n')
    assert kinds(judge(ours, theirs)) == ["records"]


def test_leftovers_and_what_was_not_flushed_are_seen(tmp_path: Path) -> None:
    ours, theirs = run(tmp_path / "ours").out, run(tmp_path / "theirs").out
    assert kinds(_verdicts.leftovers(ours, theirs)) == []
    (ours / ".model.safetensors.writing").write_bytes(b"")
    assert kinds(_verdicts.leftovers(ours, theirs)) == ["leftovers"]
    flushed = {"what": "flushed", "about": "aside", "state": [3, 100]}
    published = {"what": "published", "about": "aside", "target": "file", "files": {"aside": [3, 100]}}
    written_again = {**published, "files": {"aside": [3, 101]}}
    assert kinds(_verdicts.unflushed([flushed, published])) == []
    for wrong in ([published], [published, flushed], [flushed, written_again]):
        assert kinds(_verdicts.unflushed(wrong)) == ["leftovers"]


def test_a_plan_survives_the_disk(tmp_path: Path) -> None:
    plan = Plan("run", "trace", 3, 4, (Aim("os.rename", "step-0+5$", 2, 4, "cut", rank=1),), True)
    assert Plan.read(str(plan.write(tmp_path / "plan.json"))) == plan


def test_the_table_counts_tries_and_what_was_wrong(tmp_path: Path) -> None:
    first, second = "SIGTERM", "disk full"
    rows = faults.table(
        [
            Suffered(first, "1", 0, True, seconds=1.0),
            Suffered(
                first, "2", 1, True, wrong=[("lost", "x"), ("lost", "y"), ("weights", "z")], seconds=3.0
            ),
            Suffered(second, "2", 1, False),
        ]
    )
    found = {(row["fault"], row["shape"]): row for row in rows}
    both = found[first, "all"]
    assert (both["tries"], both["lost"], both["weights"], both["seconds"]) == (2, 1, 1, 2.0)
    assert found[second, "all"]["missed"] == 1
    assert found["all", "2"]["tries"] == 1
    lines = faults.markdown(rows).splitlines()
    assert lines[-1].replace(" ", "").startswith("|all|1|1|1|0|1|0|0|0|2.0|")
    assert {line.count("|") for line in lines} == {11}
    page = tmp_path / "page.md"
    begin, end = "<!-- faults: written by bench/faults.py -->", "<!-- faults: end -->"
    assert begin in (Path(faults.__file__).parents[1] / "docs" / "reliability.md").read_text()
    page.write_text(f"above\n{begin}\nold\n{end}\nbelow\n")
    faults.write_between(page, faults.MARKS, "new")
    assert page.read_text() == f"above\n{begin}\nnew\n{end}\nbelow\n"
