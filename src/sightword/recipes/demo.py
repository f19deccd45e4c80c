"""The demo: does sight pay on 6,752 drawings of emoji? Three runs, compared at equal samples and equal FLOPs.

Trained on five artists, tested on a sixth whom no run has seen (1,670 known concepts) and on 189 concepts
that none has seen. Both arms have the same learning rate and decay, the same initial weights of what they
share, and see the same pictures, captions and language views in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from sightword.config import Config, DataConfig, OptimizerConfig
from sightword.recipes import models

_EPOCHS = 24.0


def demo_clip() -> Config:
    """CLIP on the embedded emoji: a small ResNet and captions alone."""
    return Config(
        objective="clip",
        model=models.resnet_tiny(),
        data=DataConfig(path="demo", tokenizer="learned", captions="label", workers=0),
        optimizer=OptimizerConfig(lr=1.5e-3, wd=0.5, warmup=0.1),
        batch_size=128,
        epochs=_EPOCHS,
        log_every=20,
        zeroshot_frequency=208,
    )


def demo_slip() -> Config:
    """CLIP and SimCLR on the embedded emoji: everything else as in demo-clip."""
    return replace(demo_clip(), objective="clip + 1.0 * simclr(hidden=512, out=128)")


def demo_mae() -> Config:
    """CLIP and MAE on the embedded emoji, with a small ViT; its report shows reconstructions."""
    return replace(
        demo_clip(),
        objective="clip + 1.0 * mae(decoder_width=96, decoder_layers=2, decoder_heads=3)",
        model=models.vit_tiny(),
        optimizer=OptimizerConfig(lr=1e-3, wd=0.1, warmup=0.1),
    )


def run_demo(out: Path, seed: int) -> Path:
    """Train the arms side by side, score them, write `out/report.html` and return its path.

    Raises:
        SightwordError: when a run fails or is interrupted; the same call goes on.
    """
    from sightword.training.launch import Launcher

    clip = replace(demo_clip(), out=str(out / "clip"), seed=seed)
    slip = replace(demo_slip(), out=str(out / "slip"), seed=seed)
    equal = partial(_equal_flops, clip, slip, out / "clip-equal-flops")
    jobs: list[Callable[[], Config | None]] = [lambda: clip, lambda: slip, equal]
    # One more at once than there are cores: none idles while the longest run comes to its end.
    launcher = Launcher(_go_on, slots=min(len(jobs), _cores() + 1), nice=_nice)
    with ThreadPoolExecutor(1) as aside:
        page = aside.submit(import_module, "sightword.report.page")  # seconds, while runs begin
        launcher.run(jobs)
    runs = [Path(clip.out), Path(slip.out), out / "clip-equal-flops"]
    written: Path = page.result().write_report(runs, out / "report.html")
    return written


def _go_on(config: Config) -> None:
    """`runs.go_on`, which brings torch along: seconds that the launcher need not wait before runs begin."""
    from sightword.recipes.runs import go_on

    go_on(config)


def _nice(config: Config) -> int:
    """The shortest run, by a factor of two and more, gives way by as much: so all end at about one time."""
    return 5 if Path(config.out).name == "clip" else 0


def _equal_flops(clip: Config, slip: Config, out: Path) -> Config | None:
    """CLIP for as many steps as the other arm's FLOPs pay for; None until both have begun."""
    from sightword.training.records import read_records

    starts = []
    for config in (clip, slip):
        records = read_records(Path(config.out) / "metrics.jsonl")
        starts += [r for r in records if r["kind"] == "start"]
    if len(starts) < 2:
        return None
    ratio = starts[1]["flops_per_step"] / starts[0]["flops_per_step"]
    steps, scored = round(starts[0]["steps_total"] * ratio), round(clip.zeroshot_frequency * ratio)
    return replace(clip, out=str(out), steps=steps, epochs=0.0, zeroshot_frequency=scored)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
