"""The figures of docs/performance.md, drawn from its records: `python bench/performance.py [--write]`.

`--from FILES` first copies records of those files (bench/results/*.jsonl: the newest of each benchmark and
setting) into docs/performance.jsonl, where they take the place of older ones. `--write` then draws the
page's tables and docs/performance.svg anew. What was not measured is said to be not measured.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _performance_chart import chart
from _performance_tables import SECTIONS
from _results import write_between

DOCS = Path(__file__).resolve().parents[1] / "docs"
RECORDS, PAGE, CHART = (DOCS / f"performance.{kind}" for kind in ("jsonl", "md", "svg"))
MARKS = "performance: written by bench/performance.py --write"
BENCHMARKS = (
    "step",
    "step of objectives",
    "demo",
    "data",
    "contrast",
    "recompute",
    "evaluation",
    "curves",
    "gpu steps",
    "gpu largest",
    "gpu data",
    "gpu starved",
)
Record = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="files", type=Path, nargs="+", default=[], help="records to copy")
    parser.add_argument("--write", action="store_true", help="draw the page and the chart anew")
    parser.add_argument("--out", type=Path, help="taken for the sake of `make bench`; there are no figures")
    given = parser.parse_args()
    if given.files:
        found = newest([*known(RECORDS), *(record for file in given.files for record in known(file))])
        RECORDS.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    records = known(RECORDS)
    text = drawn(records)
    print(text)
    if given.write:
        CHART.write_text(chart(records), encoding="utf-8")
        write_between(PAGE, MARKS, text)


def known(file: Path) -> list[Record]:
    """The records of a file that the page shows; none where there is no file."""
    if not file.is_file():
        return []
    lines = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    return [clean(record) for record in lines if record["benchmark"] in BENCHMARKS and not rehearsed(record)]


def rehearsed(record: Record) -> bool:
    """Whether it is of a rehearsal, whose figures say nothing."""
    sizes = {row.get("size") for row in record["rows"]}
    return bool(record.get("rehearsal")) or "rehearsal" in sizes


def newest(records: Iterable[Record]) -> list[Record]:
    """Of each benchmark and machine the rows that were measured last."""
    kept: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda one: one["time"]):
        key = record["benchmark"], str(record.get("device", record.get("processor", "")))
        before = kept.get(key)
        rows = {name_of(row): row for row in (before["rows"] if before else [])}
        rows |= {name_of(row): row for row in record["rows"]}
        kept[key] = {**record, "rows": list(rows.values())}
    return sorted(kept.values(), key=lambda one: BENCHMARKS.index(one["benchmark"]))


def name_of(row: Record) -> str:
    """What tells a row from others: its words and whole numbers that are settings, not figures."""
    names = ("objective", "size", "side", "setting", "path", "loss", "rows", "recomputed", "set", "model")
    return json.dumps([row.get(name) for name in (*names, "precision", "compiled", "data", "beside")])


def clean(value: Any) -> Any:
    """Six digits of a number are enough; a path of this machine has no place in a record.

    Raises:
        SystemExit: there is one.
    """
    if isinstance(value, dict):
        return {key: clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    if isinstance(value, str) and value.startswith(("/", "~", "../")):
        raise SystemExit(f"a record names a place on this machine, '{value}'; leave it out")
    return float(f"{value:.6g}") if isinstance(value, float) else value


def drawn(records: list[Record]) -> str:
    """All sections, one after another."""
    return "\n\n".join(f"## {title}\n\n{draw(records)}" for title, draw in SECTIONS.items())


if __name__ == "__main__":
    main()
