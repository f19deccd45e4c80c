"""Whether a run on disk is the one that is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightword.config import Config, load
from sightword.errors import SightwordError


def check_same(asked: Config) -> None:
    """See that a run that has begun was begun as it is asked for now; nothing there is as good.

    Raises:
        SightwordError: naming what differs.
    """
    out = Path(asked.out)
    if not (out / "config.toml").is_file():
        return
    told = [f"{name} was {was!r}, now {now!r}" for name, was, now in differences(load(out), asked)]
    if told:
        raise SightwordError(
            f"'{out}' was begun with other settings: {'; '.join(told)};"
            " ask for those again, or choose another --out"
        )


def differences(begun: Config, asked: Config) -> list[tuple[str, Any, Any]]:
    """Settings that decide a run's numbers and differ: name, as it was begun, as it is asked for."""
    if asked.precision == "auto":
        asked = replace(asked, precision=begun.precision)  # what it meant there
    pairs = zip(_flat(deciding(begun)), _flat(deciding(asked)), strict=True)
    return [(name, was, now) for (name, was), (_, now) in pairs if was != now]


def deciding(config: Config) -> Config:
    """What decides a run's numbers: not where it is computed, nor what is shown, kept and scored."""
    data = replace(
        config.data, workers=0, loaders="auto", colour="auto", cache_mib=0, shard_cache_gib=0.0, max_bad=0.0
    )
    return replace(
        config, data=data, out="", device="auto", report_to=(), save_every=0, save_minutes=0.0, keep_last=0,
        keep_best="", log_every=0, zeroshot_frequency=0, watch_on="", evaluate_on="", parallel="auto",
        grad_checkpointing=False, compile=False, hang_minutes=0.0,
        batch_size=config.global_batch, ranks=1,
    )  # fmt: skip


def _flat(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flat(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value
