"""docs/performance.md says what its records say, and the script that draws it keeps what is newest."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def performance() -> ModuleType:
    """bench/performance.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "bench"))
        import performance as module

        yield module
    for name in ("performance", "_performance_tables", "_performance_chart", "_results"):
        sys.modules.pop(name, None)


def record(time: int, ratio: float, side: str = "ours bf16") -> dict[str, object]:
    found = {"ratio": ratio, "quartiles": [ratio - 0.1, ratio + 0.1], "rounds": 7}
    row = {"objective": "CLIP", "size": "tiny", "rows": 64, "side": side, "seconds": 0.1, "of_bf16_peak": 0.4}
    own = row | {"against": {"SLIP's code fp32": found}}
    theirs = row | {"side": "SLIP's code fp32", "seconds": 0.1 * ratio}
    about = {"machine": "x86_64", "cores": 2, "time": time, "code_version": "1", "device": "a machine"}
    return {"benchmark": "step", **about, "rows": [own, theirs]}


def test_the_page_and_the_chart_are_those_of_the_records(performance: ModuleType) -> None:
    records = performance.known(performance.RECORDS)
    page = performance.PAGE.read_text(encoding="utf-8")
    assert f"{performance.MARKS} -->\n{performance.drawn(records)}\n<!-- performance: end" in page
    assert performance.CHART.read_text(encoding="utf-8") == performance.chart(records)


def test_the_newest_figures_count_and_losses_are_told(performance: ModuleType) -> None:
    (kept,) = performance.newest([record(2, 0.8), record(1, 7.0)])
    assert [row["side"] for row in kept["rows"]] == ["ours bf16", "SLIP's code fp32"]
    text = performance.drawn([kept])
    assert "| missed | 0.080 | 0.100 | **0.80** (0.70-0.90) | 5.6 (6.5) | 40% |" in text
    assert "aim reached" in performance.drawn([record(1, 7.0)])
    assert "Not measured: no GPU" in text
    assert "0.80x" in performance.chart([kept])


def test_a_record_with_a_place_of_this_machine_is_refused(performance: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "step.jsonl"
    file.write_text(json.dumps(record(1, 2.0) | {"slip": "/home/somebody/SLIP"}) + "\n")
    with pytest.raises(SystemExit, match="names a place on this machine, '/home/somebody/SLIP'"):
        performance.known(file)
