"""One, two and four processes with the same global batch train the same model, copied or in pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from several_ranks import train_together
from small_objectives import small_wish
from tiny_runs import RESNET, VIT, shard, tiny
from torch import Tensor

from sightword.config import Config, ImageTowerConfig, OptimizerConfig
from sightword.objectives import catalogue
from sightword.objectives.grammar import Value
from sightword.pieces.index import read_index
from sightword.pieces.reading import read_whole
from sightword.training.saving.checkpoint import newest
from sightword.training.saving.staging import MODEL

# The paper's rate for CLIP, and clipping that bites at every step. Biases before a softmax or a batch norm
# have a gradient of 0 but for rounding, which AdamW would scale up to whole steps: `eps` is above that.
LEARNING = OptimizerConfig(lr=5e-4, wd=0.1, warmup=0.2, grad_clip=0.5, ema=0.9, eps=1e-5)
DEEP = ImageTowerConfig(size=16, width=24, layers=(2,), heads=2, patch_size=4, drop_path=0.3)

SHORT: dict[str, dict[str, Value]] = {"beit": {"tokenizer_steps": 2}}  # what is trained before the first step


SUMS = (
    # Every objective of the catalogue: with a late term, in chunks of one row, with a tokenizer of its own.
    (["clip", "simclr", "mocov3", "mae"], {"late": "mae"}),
    (["siglip", "byol", "self-distillation", "masked-prediction"], {"chunk": 1}),
    (["mae-clip", "m3ae", "beit"], {}),
    # Batch norm inside the tower, which in chunks would see others in each process; dropped paths in chunks.
    (["clip", "simclr"], {"image": RESNET}),
    (["clip", "byol"], {"image": DEEP, "chunk": 2}),
)


def spelt(names: Sequence[str], late: str = "") -> str:
    terms = []
    for name in names:
        wish = small_wish(name, **SHORT.get(name, {}))
        options = ", ".join(f"{option}={value}" for option, value in wish.options)
        terms.append(f"0.5 * {name}({options})" + ("@40%" if name == late else ""))
    return " + ".join(terms)


def runs(folder: Path, data: Path, ranks: int, parallel: str = "auto") -> list[Config]:
    configs = []
    for number, (names, more) in enumerate(SUMS):
        changes = {"image": VIT, **settings(), **more, "parallel": parallel}
        objective = spelt(names, str(changes.pop("late", "")))
        config = tiny(folder / f"{number}-{ranks}", data, objective, **changes)
        configs.append(replace(config, data=replace(config.data, max_bad=0.2)))
    return configs


def settings() -> dict[str, Any]:
    return {"steps": 5, "ranks": 1, "optimizer": LEARNING}


def weights(config: Config) -> dict[str, Tensor]:
    """Of towers, heads and teachers."""
    saved, _ = newest(Path(config.out))
    assert saved is not None
    index = read_index(saved.path)
    return read_whole(saved.path, {n: entry for n, entry in index.items() if n.startswith(MODEL)})


def records(config: Config) -> list[dict[str, Any]]:
    lines = (Path(config.out) / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "step"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Config]]:
    """The pairs, and what one process makes of every run."""
    folder = tmp_path_factory.mktemp("ranks")
    data = shard(folder / "data.tar", broken=(3, 17))
    configs = runs(folder, data, 1)
    train_together(configs, 1)
    return data, configs


def test_all_objectives_are_tried() -> None:
    assert {name for names, _ in SUMS for name in names} == set(catalogue.names())


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "parallel"), [(2, "ddp"), (4, "ddp"), (2, "fsdp")])
def test_they_agree_with_one(
    alone: tuple[Path, list[Config]], tmp_path: Path, ranks: int, parallel: str
) -> None:
    data, ones = alone
    several = runs(tmp_path, data, ranks, parallel)
    train_together(several, ranks)
    for one, other in zip(ones, several, strict=True):
        mine, theirs = weights(one), weights(other)
        assert mine.keys() == theirs.keys()
        apart = {name: float((mine[name].double() - theirs[name].double()).abs().max()) for name in mine}
        worst = max(apart, key=apart.__getitem__)
        assert apart[worst] < 1e-5, (one.objective, worst)
        for ours, its in zip(records(one), records(other), strict=True):
            _assert_same_numbers(ours, its)
        quarantines = [(Path(config.out) / "quarantine.jsonl").read_text() for config in (one, other)]
        assert quarantines[0] == quarantines[1]
        assert quarantines[0].count("no known format") == 2


def _assert_same_numbers(ours: dict[str, Any], its: dict[str, Any]) -> None:
    """What is logged is of the whole batch, whoever logs it."""
    assert its["samples"] == ours["samples"]
    assert its["loss"] == pytest.approx(ours["loss"], rel=1e-4)
    assert its["grad_norm"] == pytest.approx(ours["grad_norm"], rel=1e-3)
    assert its["features"] == pytest.approx(ours["features"], rel=1e-2)
    assert its["terms"].keys() == ours["terms"].keys()
    # Of ratios whose denominators differ from process to process, the mean of their own is logged.
    apart = {"grad_norm", "explained", "word_accuracy"}
    for term, values in ours["terms"].items():
        for metric in values.keys() - apart:
            wanted = pytest.approx(values[metric], rel=1e-2, abs=2e-3)
            assert its["terms"][term][metric] == wanted, (term, metric)
