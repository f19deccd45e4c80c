"""A training run from the command line on a published corpus as it lies on disk."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from corpora_on_disk import coco, picture, put, zipped

from sightword.cli import main
from sightword.training.records import read_records

TINY = ("--model", "vit-tiny", "--set", "model.image.layers=1", "--set", "model.text.layers=1")
SHORT = ("--steps", "3", "--batch-size", "8", "--log-every", "1", "--set", "data.vocab=300")


def of_coco(folder: Path) -> str:
    numbers = list(range(1, 25))
    coco(folder, "2017", train=numbers)
    for number in numbers:
        put(folder / f"train2017/{number:012d}.jpg", picture(number))
    return f"coco:{folder}"


def of_yfcc(folder: Path) -> str:
    numbers = [12_345_000 + 7 * number for number in range(24)]
    zipped(folder, numbers)
    rows = [(number, f"title {number}" * (number % 2), f"description {number}") for number in numbers]
    (folder / "yfcc15m.pkl").write_bytes(pickle.dumps(rows))
    return f"yfcc15m:{folder}"


@pytest.mark.parametrize(
    ("make", "flags"),
    [
        (of_coco, ("--split", "train", "--captions", "uniform", "--workers", "0")),
        (of_yfcc, ("--captions", "title-or-description", "--workers", "1")),
    ],
)
def test_three_steps_and_the_same_again(tmp_path, make, flags):
    data, losses = make(tmp_path / "corpus"), []
    for name in ("a", "b"):
        main(["train", "--data", data, *flags, *TINY, *SHORT, "--out", str(tmp_path / name)])
        records = read_records(tmp_path / name / "metrics.jsonl")
        losses.append([record["loss"] for record in records if record["kind"] == "step"])
    assert len(losses[0]) == 3
    assert losses[0] == losses[1]
