"""Does a tower trained on the demo's emoji learn Fashion-MNIST better than the same tower from scratch?

    python bench/finetune.py --data eval_fashion.tar.gz --out docs/finetune.jsonl

Both arms have the same tower, recipe, labels, order of pictures, augmentation and number of learning rates.
The rate is chosen by each arm for itself, on a fifth of the labels of the first seed. Every seed draws its
own labels, head and order; of one seed a smaller number of labels is part of a larger. All lies in `--work`,
and goes on from there when the command is given again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _results import append, demand

from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.finetune.gain import gain
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.evaluation.finetune.task import FineTune
from sightword.evaluation.labelled import Benchmark, LabelledSet, Labels
from sightword.randomness import stream, uniform
from sightword.recipes.demo import demo_clip
from sightword.statistics import wilson
from sightword.training.loop import train
from sightword.training.model import Model, load_model

SCRATCH, TUNED = ARMS = ("from scratch", "fine-tuned")


@dataclass(frozen=True)
class Setting:
    """What is the same for both arms."""

    labels: int
    epochs: int
    factors: tuple[float, ...]
    seeds: int
    crop: float  # the smallest share of a picture's area that a crop shows
    mix: bool

    def recipe(self) -> FineTuneRecipe:
        recipe = replace(FineTuneRecipe.beit("S", epochs=self.epochs), scale=(self.crop, 1.0))
        return recipe if self.mix else replace(recipe, mixing=None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a labelled tar of a train and a test split")
    parser.add_argument("--run", type=Path, help="a trained run; without it demo-clip is trained")
    parser.add_argument("--pretrain-epochs", type=float, default=12.0, help="of demo-clip, which has 24")
    parser.add_argument("--labels", type=int, default=100, help="a class")
    parser.add_argument("--epochs", type=int, default=30, help="of BEiT's recipe, which has 100")
    parser.add_argument("--factors", default="1,4,16", help="of the recipe's learning rate, for each arm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--crop", type=float, default=0.08, help="smallest share of the area in a crop")
    parser.add_argument("--no-mix", action="store_true", help="neither mixup nor CutMix")
    parser.add_argument("--work", type=Path, default=Path("runs/finetune"), help="where all of it lies")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    demand(parser, "--data TAR, a labelled one (bench/real_sets.py makes some)", given.data)
    torch.set_num_threads(1)
    factors = tuple(float(factor) for factor in given.factors.split(","))
    setting = Setting(given.labels, given.epochs, factors, given.seeds, given.crop, not given.no_mix)
    model = tower(given.run or given.work / "demo-clip", given.pretrain_epochs)
    benchmark = opened(given.data, given.work)
    answers = {arm: seeds(model, benchmark, arm, setting, given.work) for arm in ARMS}
    rows = summary(answers)
    tell(rows, answers)
    about = {"tower": model.config.model.name, "objective": model.config.objective, "samples": model.samples}
    append(given.out, "finetune", rows, **asdict(setting), **about, data=given.data.name)


def tower(run: Path, epochs: float) -> Model:
    """The run's model, trained first when it is not there."""
    if not (run / "model.safetensors").is_file():
        config = replace(demo_clip(), out=str(run), epochs=epochs, zeroshot_frequency=0, evaluate_on="")
        train(config, go_on=True)
    return load_model(run)


def opened(data: Path, work: Path) -> Benchmark:
    """The labelled tar, unpacked first where it is compressed."""
    if data.suffix == ".gz":
        plain = work / data.stem
        if not plain.is_file():
            work.mkdir(parents=True, exist_ok=True)
            with gzip.open(data) as packed, plain.with_suffix(".part").open("wb") as file:
                shutil.copyfileobj(packed, file)
            plain.with_suffix(".part").rename(plain)
        data = plain
    return open_benchmark(str(data))


def nested(whole: LabelledSet, labels: int, seed: int) -> LabelledSet:
    """The first samples of each class in an order that the seed alone decides."""
    assert whole.classes is not None
    of = whole.classes.of
    order = np.argsort(uniform(seed, stream("labels"), np.arange(len(whole)), 0, 1)[:, 0], kind="stable")
    firsts = [order[of[order] == label][:labels] for label in range(len(whole.classes.names))]
    rows = np.sort(np.concatenate(firsts))
    return replace(
        whole,
        keys=tuple(whole.keys_of(rows)),
        read=lambda i: whole.read(int(rows[i])),
        classes=Labels(whole.classes.names, of[rows]),
    )


def seeds(model: Model, benchmark: Benchmark, arm: str, setting: Setting, work: Path) -> list[dict[str, Any]]:
    """One arm's answers under every seed; the first chooses the learning rate for all."""
    first = answered(model, benchmark, arm, setting, setting.factors, 0, work)
    rate = float(first["chosen"]["factor"])
    rest = range(1, setting.seeds)
    return [first, *(answered(model, benchmark, arm, setting, (rate,), seed, work) for seed in rest)]


def answered(
    model: Model,
    benchmark: Benchmark,
    arm: str,
    setting: Setting,
    factors: Sequence[float],
    seed: int,
    work: Path,
) -> dict[str, Any]:
    """Which test pictures are right after training under one seed, from an earlier call where it was done."""
    assert benchmark.train is not None
    part = nested(benchmark.train, setting.labels, seed)
    task = FineTune(setting.recipe(), fresh=arm == SCRATCH, factors=factors, seed=seed)
    test = benchmark.tests[0]
    told = json.dumps([task.protocol(model, test, part), model.weights_hash, test.data_hash], sort_keys=True)
    kept = work / f"{task.name}-{setting.labels}-{seed}.json"
    if kept.is_file() and json.loads(kept.read_text())["told"] == told:
        return dict(json.loads(kept.read_text())["answer"])
    answer = task.answer(FeatureStore(model, work / f"seed-{seed}"), test, part)
    right = [bool(one) for one in answer.outcomes["correct"].to_pylist()]
    found = {"seed": seed, "chosen": dict(answer.chosen), "right": right}
    kept.write_text(json.dumps({"told": told, "answer": found}))
    return found


def summary(answers: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each arm and seed, and one for the difference."""
    rows: list[dict[str, Any]] = []
    for arm, found in answers.items():
        for one in found:
            share = wilson(sum(one["right"]), len(one["right"]))
            rows.append({"arm": arm, "seed": one["seed"], "chosen": one["chosen"], **vars(share)})
    scratch, tuned = (np.array([one["right"] for one in answers[arm]]) for arm in ARMS)
    return [*rows, {"arm": f"{TUNED} - {SCRATCH}", **vars(gain(scratch, tuned))}]


def tell(rows: Sequence[dict[str, Any]], answers: dict[str, list[dict[str, Any]]]) -> None:
    """The table."""
    print(f"{'arm':<26}{'acc1 of each seed':<30}{'mean':>6}  learning rate (held-out accuracy of each)")
    for arm, found in answers.items():
        shares = [100 * float(np.mean(one["right"])) for one in found]
        chosen = found[0]["chosen"]
        each = " ".join(f"{share:.1f}" for share in shares)
        print(f"{arm:<26}{each:<30}{np.mean(shares):6.1f}  {chosen['lr']:.2g} {chosen['held_out'] or ''}")
    last = rows[-1]
    ends = f"[{100 * last['low']:+.1f}, {100 * last['high']:+.1f}]"
    clear = last["low"] > 0 or last["high"] < 0
    print(
        f"{last['arm']:<26}{100 * last['value']:+.1f} {ends} points: {'' if clear else 'no '}difference shown"
    )


if __name__ == "__main__":
    main()
