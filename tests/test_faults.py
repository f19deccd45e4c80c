"""The fault campaign of `bench/faults_data.py` in small: each kind once, then trained on together."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    import faults_data

    return faults_data


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_kind_of_fault_crashes_hangs_or_costs_a_good_sample(campaign: ModuleType, tmp_path: Path) -> None:
    bad, samples, kinds = set[str](), 0, len(campaign.KINDS)
    for number in range(kinds):
        told, mine, served = campaign.one_case(number, 7, tmp_path / "shards" / f"{number:03}.tar")
        assert told["faults"] == []
        bad |= mine
        samples += served
    assert bad
    assert samples > 9 * (kinds - 4)  # only a cut shard, or what is no tar, loses more than one or two
    assert campaign.one_run(0, tmp_path, bad, samples)["faults"] == []


def test_the_judge_sees_what_is_wrong(campaign: ModuleType, tmp_path: Path) -> None:
    """A loader that lost, exchanged or hid samples would be caught."""
    spoiled = campaign.Spoiled(b"", {"a": (b"A", "first"), "b": (b"B", "second")}, {"c"})
    whole = dict(spoiled.good)
    assert campaign.judge(spoiled, whole, {"c": "broken"}, [{"kind": "unreadable", "key": "c"}]) == []
    outcomes = {
        "lost": ({"a": whole["a"]}, {"c": "x"}),
        "mixed up": ({"a": whole["b"], "b": whole["b"]}, {"c": "x"}),
    }
    for outcome, (served, bad) in outcomes.items():
        (fault,) = campaign.judge(spoiled, served, bad, [{"kind": "unreadable", "key": "c"}])
        assert fault["outcome"] == outcome
    for bad in ({}, {"c": "broken"}):
        (fault,) = campaign.judge(spoiled, whole, bad, [])
        assert fault["outcome"] == "unlisted"


def test_a_crash_and_a_hang_are_told_of_their_case(
    campaign: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "LIMIT", 3.0)

    def case(number: int, seed: int, path: Path) -> tuple[dict[str, object], set[str], int]:
        if number == 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        import time

        time.sleep(60)
        raise AssertionError

    monkeypatch.setattr(campaign, "one_case", case)
    crashed, hung = campaign.campaign([1], 0, 1), campaign.campaign([2], 0, 1)
    assert [(one["number"], one["faults"][0]["outcome"]) for one in (*crashed, *hung)] == [
        (1, "crashed"),
        (2, "hung"),
    ]
    assert crashed[0]["kind"] == campaign.kind_of(1)
