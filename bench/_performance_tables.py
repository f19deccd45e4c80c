"""The sections of docs/performance.md, each drawn from the records of its benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]
_NOT = "Not measured."
_B16, _TINY = "ViT-B/16", ("tiny", "tiny, SLIP's text")
_SLIPS, _OPEN = "SLIP's code fp32", "open_clip amp_bf16"
# What a ratio must be at least, and what is aimed at: of objective, size and peer, ours in bf16.
WANTED: dict[tuple[str, str, str], tuple[float, float | None]] = {
    **{("CLIP", size, _SLIPS): (5.6, 6.5) for size in _TINY},
    **{("SLIP", size, _SLIPS): (4.2, 5.0) for size in _TINY},
    **{(one, size, "SLIP's code bf16"): (2.0, None) for size in _TINY for one in ("CLIP", "SLIP")},
    **{("CLIP", size, _OPEN): (2.6, 3.0) for size in _TINY},
    ("CLIP", _B16, _SLIPS): (3.8, 4.2),
    ("SLIP", _B16, _SLIPS): (3.6, 4.0),
    ("CLIP", _B16, _OPEN): (1.35, 1.5),
}
PEAK_WANTED, MFU_WANTED = 0.7, 0.5


def rows_of(records: Sequence[Record], *benchmarks: str) -> list[Record]:
    """The rows of these benchmarks."""
    return [row for record in records if record["benchmark"] in benchmarks for row in record["rows"]]


def machine_line(records: Sequence[Record], *benchmarks: str) -> str:
    """What the figures of a section were taken on."""
    told = []
    for one in (record for record in records if record["benchmark"] in benchmarks):
        day = datetime.fromtimestamp(one["time"], UTC).date().isoformat()
        versions = one.get("versions", {"torch": one["torch"]} if "torch" in one else {})
        parts = [one.get("device", one.get("processor", one["machine"])), f"{one['cores']} cores"]
        parts += [f"{one['threads']} threads"] if "threads" in one else []
        parts += [f"{one['rounds']} rounds"] if "rounds" in one else []
        parts += [", ".join(f"{name} {version}" for name, version in versions.items())]
        parts += [f"code {one['code_version']}", day]
        told.append("; ".join(part for part in parts if part))
    return "\n\n" + "\n\n".join(f"*{line}.*" for line in dict.fromkeys(told))


def table(heads: str, rows: Iterable[Sequence[str]]) -> str:
    """Columns by their heads, joined by |; the first ones, before ||, are words and the others numbers."""
    words, _, numbers = heads.partition("||")
    left, right = ([head.strip() for head in part.split("|") if head.strip()] for part in (words, numbers))
    lines = [left + right, ["---"] * len(left) + ["--:"] * len(right), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdict(value: float, wanted: tuple[float, float | None] | None) -> tuple[str, str]:
    """What was wanted and aimed at, and whether it is reached."""
    if wanted is None:
        return "", "won" if value > 1 else "lost"
    least, aim = wanted
    told = f"{least:g}" if aim is None else f"{least:g} ({aim:g})"
    return told, "aim reached" if aim and value >= aim else "reached" if value >= least else "missed"


def spread(found: Record) -> str:
    """A ratio and its quartiles."""
    low, high = found["quartiles"]
    return f"**{found['ratio']:.2f}** ({low:.2f}-{high:.2f})"


def step(records: Sequence[Record]) -> str:
    """Ours against every peer."""
    rows = rows_of(records, "step")
    if not rows:
        return _NOT
    seconds = {(r["objective"], r["size"], r["rows"], r["side"]): r["seconds"] for r in rows}

    def lines() -> Iterator[list[str]]:
        for row in (row for row in rows if "against" in row):
            for peer, found in row["against"].items():
                key = row["objective"], row["size"], peer
                wanted, said = verdict(
                    found["ratio"], WANTED.get(key) if row["side"] == "ours bf16" else None
                )
                of_peak = f"{row['of_bf16_peak']:.0%}" if "of_bf16_peak" in row else ""
                theirs = seconds[row["objective"], row["size"], row["rows"], peer]
                numbers = [f"{theirs:.3f}", f"{row['seconds']:.3f}", spread(found), wanted, of_peak]
                yield [row["objective"], row["size"], str(row["rows"]), row["side"], peer, said, *numbers]

    heads = (
        "objective | model | rows | ours | peer | verdict || peer, s | ours, s | times as fast (quartiles)"
    )
    heads += " | wanted (aim) | of bf16 peak"
    large = [r["of_bf16_peak"] for r in rows if r["size"] == _B16 and r["side"] == "ours bf16"]
    best = max(large, default=0.0)
    reached = "reached" if best >= PEAK_WANTED else "missed"
    told = (
        f"\n\nViT-B/16 in bf16 runs at up to {best:.0%} of the measured GEMM peak; wanted: {PEAK_WANTED:.0%}"
    )
    told = f"{told}, {reached}." if large else ""
    chart = "\n\n![Times as fast, with quartiles](performance.svg)"
    return table(heads, lines()) + told + chart + machine_line(records, "step")


def objectives(records: Sequence[Record]) -> str:
    """Measured against predicted cost."""
    rows = rows_of(records, "step of objectives")
    if not rows:
        return _NOT
    lines = (
        [
            f"`{row['objective']}`",
            f"{row['measured']:.2f} ({row['quartiles'][0]:.2f}-{row['quartiles'][1]:.2f})",
            f"{row['predicted']:.2f}",
            f"{row['measured'] / row['predicted'] - 1:+.0%}",
            f"{row['whole_step']:.2f}",
        ]
        for row in rows
    )
    heads = "objective || measured x clip (quartiles) | predicted | off | with the update"
    taken = ", ".join(
        f"{record['model']} with {record['rows'][0]['rows']} rows"
        for record in records
        if record["benchmark"] == "step of objectives"
    )
    told = (
        f"\n\nTaken on {taken}."
        " Measured is forward and backward, which predictions are of. What a head costs however many rows"
        " there are (self-distillation's 65,536 prototypes) weighs more in so small a batch than in training."
    )
    return table(heads, lines) + told + machine_line(records, "step of objectives")


def demo(records: Sequence[Record]) -> str:
    """`sightword demo` before and after."""
    rows = {row["side"]: row for row in rows_of(records, "demo")}
    if not rows:
        return _NOT
    before, now = rows["before"], rows["now"]
    ratios = [f"{before[what] / now[what]:.2f}" for what in ("seconds", "processor_seconds")]
    lines = [
        [side, *(f"{row[what]:.0f}" for what in ("seconds", "processor_seconds", "floor_seconds"))]
        for side, row in rows.items()
    ]
    said = verdict(before["seconds"] / now["seconds"], (2.0, None))[1]
    told = (
        f"\n\nTimes as fast: {ratios[0]} by the clock ({said}; wanted 2), {ratios[1]} in processors' seconds."
        " The floor is the arithmetic of all runs at the speed of the fastest matrix product measured there."
    )
    heads = "`sightword demo` || s by the clock | processors' s | floor, s"
    return table(heads, lines) + told + machine_line(records, "demo")


def data(records: Sequence[Record]) -> str:
    """Pictures a second, against the peers' pipelines."""
    rows = rows_of(records, "data")
    if not rows:
        return _NOT

    def lines() -> Iterator[list[str]]:
        for row in rows:
            wanted, said = verdict(row["ratio"], tuple(row["wanted"]) if row["wanted"] else None)
            rates = [f"{row['peer_per_second']:.0f}", f"{row['ours_per_second']:.0f}"]
            low, high = row.get("quartiles") or row["range"]
            ratio = f"**{row['ratio']:.2f}** ({low:.2f}-{high:.2f})"
            yield [row["setting"], row["path"], said, *rates, ratio, wanted]

    heads = (
        "files and views | ours | verdict || peer, pictures/s | ours | times as fast (spread) | wanted (aim)"
    )
    return table(heads, lines()) + machine_line(records, "data")


def contrast(records: Sequence[Record]) -> str:
    """Logits in pieces against logits that are kept."""
    rows = [row for row in rows_of(records, "contrast") if "pieces" in row]
    if not rows:
        return _NOT
    wanted = {8192: ("13 (20)", "1.45 (1.6)")}

    def lines() -> Iterator[list[str]]:
        for row in rows:
            pieces, kept = row["pieces"], row.get("kept")
            own = f"{pieces['bytes'] / 1e6:,.0f} MB, {pieces['seconds']:.2f} s"
            other = (
                f"{kept['bytes'] / 1e6:,.0f} MB, {kept['seconds']:.2f} s" if kept else str(row["left_out"])
            )
            ratios = [f"{row['bytes_ratio']:.1f}", f"{row['seconds_ratio']:.2f}"] if kept else ["", ""]
            yield [
                row["loss"],
                f"{row['rows']:,}",
                other,
                own,
                *ratios,
                " and ".join(wanted.get(row["rows"], ())),
            ]

    heads = "loss || rows | kept | in pieces | times less memory | times as fast | wanted (aim)"
    return table(heads, lines()) + machine_line(records, "contrast")


def memory(records: Sequence[Record]) -> str:
    """What a sample takes with recomputation."""
    rows = rows_of(records, "recompute")
    if not rows:
        return _NOT
    seconds = {row["objective"]: row["seconds"] for row in rows if not row["recomputed"]}

    def lines() -> Iterator[list[str]]:
        for row in rows:
            way = "recomputed" if row["recomputed"] else "kept"
            dearer = f"{row['seconds'] / seconds[row['objective']] - 1:+.0%}" if row["recomputed"] else ""
            yield [row["objective"], way, f"{row['bytes'] / 1e6:.0f}", f"{row['seconds']:.2f}", dearer]

    heads = "objective | activations || MB a sample | s a step | time more"
    wanted = "\n\nWanted: SLIP with ViT-B/16 at most 50 MB a sample (40 aimed at)."
    return table(heads, lines()) + wanted + machine_line(records, "recompute")


def evaluation(records: Sequence[Record]) -> str:
    """Against CLIP_benchmark."""
    rows = rows_of(records, "evaluation")
    if not rows:
        return _NOT
    lines = (
        [
            row["set"],
            ", ".join(row["tasks"]),
            "won" if row["seconds_ours"] < row["seconds_theirs"] else "lost",
            f"{row['seconds_theirs']:.1f}",
            f"{row['seconds_ours']:.1f}",
            f"**{row['seconds_theirs'] / row['seconds_ours']:.2f}**",
        ]
        for row in rows
    )
    heads = "set | tasks | verdict || CLIP_benchmark, s | ours, s | times as fast"
    return table(heads, lines) + machine_line(records, "evaluation")


def curves(records: Sequence[Record]) -> str:
    """The fast path learns what the plain one learns."""
    rows = rows_of(records, "curves")
    if not rows:
        return _NOT

    def lines() -> Iterator[list[str]]:
        for row in rows:
            if row["precision"] == "fp32":
                found = f"a step {row['step_loss']:.0e}; 20 steps {row['first']:.0e}"
                noise = (
                    f"from float64: fast {row['exact']:.0e}, plain {row['rounding']:.0e};"
                    f" plain from itself with other threads: {row['threads']:.0e}"
                )
            else:
                found = f"{row['apart']:.1e}"
                noise = f"seeds: {row['seeds'][0]:.1e} to {row['seeds'][-1]:.1e}"
            yield [row["model"], row["precision"], "agrees" if row["agrees"] else "differs", found, noise]

    heads = "model | precision | verdict || fast from plain | for comparison"
    judged = (
        "fp32 agrees where each of 20 steps from the same weights is within 1e-5, and a run of 20 that goes"
        " its own way stays within 1e-5 too, or as near to float64 as the plain path does, twice over; bf16,"
        " where the curves of 200 steps are no further apart than those of different seeds."
    )
    return f"{table(heads, lines())}\n\n{judged}" + machine_line(records, "curves")


def gpu(records: Sequence[Record]) -> str:
    """Steps, the largest batch, runs from files, and the verdict of a starved run."""
    rows = rows_of(records, "gpu steps")
    if not rows:
        return "Not measured: no GPU was at hand. `bench/gpu.py` is what measures it."

    def lines() -> Iterator[list[str]]:
        for row in rows:
            faster = spread(row["ours_is_faster"]) if "ours_is_faster" in row else ""
            shares = [f"{row['mfu']:.0%}", f"{row['mfu_nominal']:.0%}", f"{row['memory_mib'] / 1024:.1f}"]
            way = "compiled" if row["compiled"] else ""
            rate = f"{row['samples_per_second']:,.0f}"
            yield [row["objective"], row["side"], way, str(row["rows"]), rate, *shares, faster]

    heads = "objective | side | how"
    heads += " || rows | samples/s | of the measured peak | of 989 TFLOP/s | GiB | ours is faster"
    told = [f"\n\nWanted: {MFU_WANTED:.0%} of the peak."]
    largest = rows_of(records, "gpu largest")
    told += [f"{row['objective']}: the largest batch is {row['largest']:,}." for row in largest]
    for row in (row for row in rows_of(records, "gpu data") if "samples_per_second" in row):
        rate, waited = f"{row['samples_per_second']:,.0f} samples/s", f"{row['data_wait']:.0%}"
        told.append(f"{row['objective']} from files: {rate}, MFU {row['mfu']:.0%}, waited {waited} for data.")
    told += [f'A run starved on purpose says: "{r["starved"]}".' for r in rows_of(records, "gpu starved")]
    return table(heads, lines()) + " ".join(told) + machine_line(records, "gpu steps", "gpu data")


SECTIONS: dict[str, Callable[[Sequence[Record]], str]] = {
    "A step against SLIP's code and open_clip": step,
    "What each objective costs": objectives,
    "The demo": demo,
    "The data path": data,
    "Contrast over large batches": contrast,
    "Memory of activations": memory,
    "Evaluation": evaluation,
    "The fast path learns what the plain one learns": curves,
    "On a GPU": gpu,
}
