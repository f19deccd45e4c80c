"""A plan for people, as tables, and for programs, as one record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sightword.planning.devices import GIB
from sightword.planning.estimate import MFU, WHY_MFU, Plan
from sightword.planning.fitting import Way


def record(plan: Plan, name: str) -> dict[str, Any]:
    """Every number of a plan; see docs/records.md."""
    config, asked = plan.config, plan.asked
    return {
        "kind": "plan",
        "name": name,
        "objective": config.objective,
        "model": config.model.name,
        "device": asked.device.name,
        "gpus": asked.gpus,
        "parallel": config.parallel if asked.gpus > 1 else "",
        "precision": "fp32" if config.precision == "fp32" else "bf16",
        "global_batch": config.global_batch,
        "rows": plan.rows,
        "chunk": config.chunk,
        "accum_freq": config.accum_freq,
        "grad_checkpointing": config.grad_checkpointing,
        "parameters": plan.sizes.parameters,
        "parameters_trained": plan.sizes.trained,
        "flops_per_sample": plan.flops_per_sample,
        "flops_computed_per_sample": plan.computed_per_sample,
        "memory_peak": plan.peak,
        "memory_at_peak": plan.at_peak,
        "memory_between_steps": plan.state,
        "memory_of_device": asked.device.memory,
        "headroom": asked.headroom,
        "fits": plan.fits,
        "ways": [vars(way) for way in plan.ways],
        "mfu": asked.mfu,
        "samples_per_second": plan.samples_per_second,
        "pairs": plan.pairs or None,
        "steps_total": plan.steps or None,
        "samples_total": plan.samples or None,
        "hours": plan.hours or None,
        "gpu_hours": plan.hours * asked.gpus or None,
        "cost": plan.cost,
        "hosts": plan.hosts,
        "views": plan.sizes.views,
        "pictures_per_second_and_host": plan.pictures_per_host,
        "bytes_per_second_and_host": plan.read_per_host,
        "checkpoint_bytes": plan.sizes.checkpoint,
        "checkpoint_seconds": plan.checkpoint_seconds,
        "published_bytes": plan.sizes.published,
    }


def show(plan: Plan, name: str, dry_run: Mapping[str, Any] | None = None) -> None:
    """Print it, with what a dry run found."""
    tables = _tables(plan, name)
    Console().print(Group(*tables, *([_dry(dry_run)] if dry_run else [])))


def _tables(plan: Plan, name: str) -> list[RenderableType]:
    config, asked = plan.config, plan.asked
    title = f"{name}: {config.objective}, {config.model.name}, {asked.gpus} x {asked.device.name}"
    found: list[RenderableType] = [Text(title, style="bold"), _model(plan), _memory(plan), _running(plan)]
    if plan.ways:
        found.append(_ways(plan))
    return found


def _model(plan: Plan) -> Table:
    table = _table("model", "")
    for name, count in plan.sizes.parameters.items():
        table.add_row(name, f"{count / 1e6:,.1f} M parameters")
    table.add_row("trained", f"{plan.sizes.trained / 1e6:,.1f} M of {plan.sizes.total / 1e6:,.1f} M")
    table.add_row("FLOPs of a sample", f"{plan.flops_per_sample / 1e9:,.0f} G")
    if plan.computed_per_sample > 1.01 * plan.flops_per_sample:
        table.add_row("with recomputation", f"{plan.computed_per_sample / 1e9:,.0f} G")
    return table


def _memory(plan: Plan) -> Table:
    how = plan.config.parallel.upper() if plan.asked.gpus > 1 else "one process"
    table = _table(f"memory of each GPU at its peak ({plan.rows:,} rows, {how})", "GiB")
    for name, size in sorted(plan.at_peak.items(), key=lambda row: -row[1]):
        if size >= 0.005 * GIB:
            table.add_row(name, _gib(size))
    table.add_section()
    table.add_row("peak", _gib(plan.peak))
    share = f"{1 - plan.asked.headroom:.0%} of {_gib(plan.asked.device.memory)}"
    table.add_row(f"room: {share}", _gib(plan.room), style="" if plan.fits else "bold red")
    table.add_row("between steps", _gib(sum(plan.state.values())))
    return table


def _running(plan: Plan) -> Table:
    asked = plan.asked
    table = _table("running", "")
    why = WHY_MFU if asked.mfu == MFU else "as given"
    if plan.config.precision == "fp32":
        why += "; that is the peak of bfloat16, and this run is in float32"
    table.add_row("MFU", f"{asked.mfu:.0%} of {asked.device.bf16_flops / 1e12:,.0f} TFLOP/s, {why}")
    each = plan.samples_per_second / asked.gpus
    table.add_row("samples a second", f"{plan.samples_per_second:,.0f}; {each:,.0f} a GPU")
    table.add_row(
        "steps", f"{plan.steps:,} of {plan.config.global_batch:,} samples" if plan.steps else _unknown()
    )
    if plan.steps:
        table.add_row(
            "hours", f"{plan.hours:,.1f}; {plan.hours * asked.gpus:,.0f} GPU-hours, stops not counted"
        )
    if plan.cost is not None and plan.steps:
        table.add_row("cost", f"{plan.cost:,.0f} at {asked.price:g} a GPU-hour")
    own = min(asked.gpus, asked.gpus_per_host)
    table.add_row(
        f"input of a host ({own} GPUs)",
        f"{plan.pictures_per_host:,.0f} pictures a second, {plan.sizes.views} views;"
        f" {plan.read_per_host / 1e6:,.0f} MB/s at {asked.sample_bytes / 1e3:g} kB a sample",
    )
    table.add_row(
        "checkpoint",
        f"{plan.sizes.checkpoint / 1e9:,.2f} GB, {plan.checkpoint_seconds:,.1f} s"
        f" at {asked.disk_rate / 1e9:g} GB/s; model.safetensors {plan.sizes.published / 1e9:,.2f} GB",
    )
    return table


def _dry(found: Mapping[str, Any]) -> Table:
    table = _table("dry run of the program", "")
    for name, value in found["told"].items():
        table.add_row(name, value)
    return table


def _unknown() -> str:
    return "give --steps, or --pairs and --epochs: how large the data is cannot be found here"


def _ways(plan: Plan) -> Table:
    table = _table("it does not fit; what would change that", "GiB", "compute", "")
    for way in plan.ways:
        table.add_row(said(way), _gib(way.peak), f"x {way.flops:.2f}", "fits" if way.fits else "does not fit")
    return table


def said(way: Way) -> str:
    """A way, as the flags that it takes."""
    return f"--gpus {way.gpus}" if way.flags == "more GPUs" else way.flags


def refusal(plan: Plan) -> str:
    """In one line: that it does not fit, and what would."""
    fitting = [f"{said(way)} ({_gib(way.peak)} GiB)" for way in plan.ways if way.fits]
    do = f"fits with {', or '.join(fitting)}" if fitting else "take a larger device or a smaller model"
    return (
        f"a step of {plan.rows:,} rows needs {_gib(plan.peak)} GiB on each {plan.asked.device.name},"
        f" where {_gib(plan.room)} GiB are to be had; {do}"
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0))
    table.add_column(title, style="", header_style="bold", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("GiB", "compute") else "left", overflow="fold")
    return table


def _gib(size: int | float) -> str:
    return f"{size / GIB:,.2f}"
