"""Every objective alone and beside clip, at equal samples and at equal FLOPs, on the demo's pictures.

    python bench/objectives.py --out docs/objectives.jsonl --page docs/objectives.md

One small ViT, one learning rate, one seed; two runs at once on two cores. Every arm starts from the same
image tower, and the baseline is that tower as it starts: a linear probe on its features, untrained. Runs lie
in `--work` and are gone on with when the command is given again; finished ones are not repeated.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from _results import append

from sightword.config import Config, ImageTowerConfig, ModelConfig
from sightword.evaluation.compare import difference
from sightword.evaluation.outcomes import read_outcomes
from sightword.evaluation.scores import read_scores
from sightword.objectives import catalogue
from sightword.recipes import demo, models
from sightword.recipes.runs import go_on
from sightword.training.launch import Launcher
from sightword.training.records import read_records

BATCH = 64
PAIRS = 6752  # of the demo's training part
# Heads for a tower 128 wide; the rest as the papers. A teacher remembers a twentieth of the run, but for byol
# and masked-prediction: alone, with nothing else to hold on to, they need the papers' slow one.
_PROTOTYPES = "hidden=256, bottleneck=64, out=512"
OPTIONS = {
    "simclr": "hidden=512, out=128",
    "mocov3": "hidden=512, out=128, momentum={momentum}",
    "byol": "hidden=512, out=128",
    "beit": "codebook=512, tokenizer_width=64",
    "mae": "decoder_width=96, decoder_layers=2, decoder_heads=3",
    "m3ae": "decoder_width=96, decoder_layers=2, decoder_heads=3",
    "mae-clip": "decoder_width=96, decoder_layers=2, decoder_heads=3",
    "self-distillation": f"{_PROTOTYPES}, momentum={{momentum}}, momentum_end={{momentum}}, locals=4",
    "masked-prediction": _PROTOTYPES,
}
WEIGHTS = {"masked-prediction": 0.25}  # beside clip; SigLIP 2's. All others count 1.
BASELINE = "untrained"


@dataclass(frozen=True)
class Arm:
    """One sum of objectives: how the table calls it, and its whole text."""

    title: str
    objective: str

    @property
    def folder(self) -> str:
        return self.title.replace(" ", "")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"), help="where the runs lie")
    parser.add_argument("--epochs", type=float, default=4.0, help="of clip; the others see as many samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="arms by title, with commas between; all when empty")
    parser.add_argument("--samples-only", action="store_true", help="leave out equal FLOPs")
    parser.add_argument("--slots", type=int, default=len(os.sched_getaffinity(0)), help="runs at once")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    parser.add_argument("--page", type=Path, help="a page whose table is replaced by this one")
    given = parser.parse_args()
    chosen = [arm for arm in arms(given.epochs) if not given.only or arm.title in given.only.split(",")]
    base = configured(given.work, given.epochs, given.seed)
    train(base, chosen, given.slots, not given.samples_only)
    rows = [row for arm in chosen for row in measured(Path(base.out), arm)]
    rows.insert(0, scores_of(Path(base.out) / BASELINE))
    setting = {"epochs": given.epochs, "seed": given.seed, "batch_size": BATCH, "model": base.model.name}
    append(given.out, "objectives", rows, **setting)
    text = table(rows)
    print(text)
    if given.page:
        insert(given.page, text)


def arms(epochs: float) -> Iterator[Arm]:
    """Every objective alone, then beside clip."""
    for name in sorted(catalogue.names(), key=lambda name: (name != "clip", name)):
        yield Arm(name, called(name, epochs))
    for name in catalogue.names():
        if name not in ("clip", "siglip"):
            yield Arm(f"clip + {name}", f"clip + {WEIGHTS.get(name, 1.0)} * {called(name, epochs)}")


def called(name: str, epochs: float) -> str:
    """The objective with its options for this small tower and this length."""
    if name not in OPTIONS:
        return name
    steps = epochs * PAIRS / BATCH
    return f"{name}({OPTIONS[name].format(momentum=round(1 - 20 / steps, 2))})"


def configured(work: Path, epochs: float, seed: int) -> Config:
    """What all arms share: the demo's pairs and order, a ViT on which every objective fits, one schedule."""
    clip = demo.demo_clip()
    image = ImageTowerConfig(
        size=48, width=128, layers=(4,), heads=4, patch_size=8, positions="sincos", pool="gap"
    )
    text = replace(models.resnet_tiny().text, width=128, heads=4)
    return replace(
        clip,
        model=ModelConfig("vit-128x4", image, text, embed=128),
        optimizer=replace(clip.optimizer, lr=1e-3, wd=0.1),
        batch_size=BATCH,
        epochs=epochs,
        seed=seed,
        zeroshot_frequency=0,
        out=str(work),
    )


def train(base: Config, chosen: list[Arm], slots: int, both: bool) -> None:
    """Everything that is not there yet: equal samples first, since their FLOPs decide the rest."""
    work = Path(base.out)
    save_untrained(replace(base, objective="clip", out=str(work / BASELINE)))
    clip = replace(base, objective="clip", out=str(work / "clip"))
    same = [replace(base, objective=a.objective, out=str(work / a.folder)) for a in chosen]
    jobs: list[Callable[[], Config | None]] = [lambda one=one: one for one in dict.fromkeys([clip, *same])]
    jobs += [partial(equal_flops, clip, one) for one in same if both and one != clip]
    Launcher(go_on, slots=slots).run(jobs)


def equal_flops(clip: Config, arm: Config) -> Config | None:
    """The same arm for as many steps as clip's FLOPs pay for; None until both are known."""
    starts = [start_of(Path(one.out)) for one in (clip, arm)]
    if None in starts:
        return None
    first, second = (start or {} for start in starts)
    steps = round(first["steps_total"] * first["flops_per_step"] / second["flops_per_step"])
    return replace(arm, out=f"{arm.out}-equal-flops", steps=steps, epochs=0.0)


def start_of(run: Path) -> dict[str, Any] | None:
    """The first record of a run, once it is there."""
    return next((r for r in read_records(run / "metrics.jsonl") if r["kind"] == "start"), None)


def save_untrained(config: Config) -> None:
    """The baseline: the towers as every arm gets them, scored like any other run."""
    from sightword.evaluation.run import evaluate
    from sightword.training.model import load_model
    from sightword.training.saving import checkpoint
    from sightword.training.session import begin

    out = Path(config.out)
    if not (out / "config.toml").exists():
        begin(config)
    if not (out / "model.safetensors").exists():
        weights = begin(replace(config, out=str(out / "start"))).model.kept_encoders()
        checkpoint.save_encoders(out, weights, {"objective": BASELINE})
    evaluate(load_model(out), out, ["demo"], ["linear", "knn", "zeroshot"])


def measured(work: Path, arm: Arm) -> Iterator[dict[str, Any]]:
    """A row for each budget of an arm."""
    for budget, end in (("samples", ""), ("flops", "-equal-flops")):
        run = work / f"{arm.folder}{end}"
        if run.is_dir():
            yield scores_of(run) | {"arm": arm.title, "objective": arm.objective, "budget": budget}


def scores_of(run: Path) -> dict[str, Any]:
    """The numbers of one run that the table shows, and the gain of its probe over the untrained tower."""
    rows = {f"{s.task}/{s.split}": s for s in read_scores(run) if s.metric == "acc1"}
    found: dict[str, Any] = {"arm": run.name}
    for name, key in (("linear", "linear"), ("knn", "knn"), ("zeroshot", "zeroshot")):
        score = rows.get(f"{key}/test_artist")
        if score:
            found[name] = [score.value, score.low, score.high]
            found |= {"samples": score.samples, "flops": score.flops, "weights": score.weights_hash}
    probe = "demo-test_artist-linear.parquet"
    both = [read_outcomes(one / "outcomes" / probe) for one in (run.parent / BASELINE, run)]
    gain = difference(*both, "acc1").difference
    records = read_records(run / "metrics.jsonl")
    last = next((r for r in reversed(records) if r["kind"] == "step"), {})
    ends = [r["seconds"] for r in records if r["kind"] == "end"]
    start = start_of(run) or {}
    return found | {
        "gain": [gain.value, gain.low, gain.high],
        "flops_per_step": start.get("flops_per_step", 0.0),
        "effective_rank": last.get("features", {}).get("effective_rank"),
        "seconds": ends[-1] if ends else 0.0,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line an arm, both budgets side by side."""
    head = (
        "| objective | step cost | linear probe | gain over untrained (95 %) | zero-shot "
        "| equal FLOPs: samples | linear probe | gain (95 %) | zero-shot |"
    )
    lines = [head, "|---" * 9 + "|"]
    baseline = rows[0]
    lines.append(f"| {BASELINE} | | {percent(baseline, 'linear')} | | | | | | |")
    clip = next(r for r in rows if r["arm"] == "clip" and "budget" in r)
    for arm in dict.fromkeys(r["arm"] for r in rows[1:]):
        samples = next(r for r in rows if r["arm"] == arm and r.get("budget") == "samples")
        own = samples if arm == "clip" else None  # the two budgets are one
        flops = next((r for r in rows if r["arm"] == arm and r.get("budget") == "flops"), own)
        cost = samples["flops_per_step"] / clip["flops_per_step"]
        cells = [
            f"`{arm}`",
            f"{cost:.2f}",
            *shown(samples),
            *([f"{flops['samples']:,}", *shown(flops)] if flops else [""] * 4),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(row: dict[str, Any]) -> tuple[str, str, str]:
    return percent(row, "linear"), change(row), percent(row, "zeroshot")


def percent(row: dict[str, Any], name: str) -> str:
    return f"{100 * row[name][0]:.1f}" if name in row else ""


def change(row: dict[str, Any]) -> str:
    value, low, high = (100 * x for x in row["gain"])
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def insert(page: Path, text: str) -> None:
    """Replace what stands between the page's two marks."""
    begin, end = "<!-- table: bench/objectives.py -->", "<!-- end of table -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
