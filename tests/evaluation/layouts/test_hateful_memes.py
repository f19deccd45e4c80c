"""Hateful Memes: lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

ROWS = {"dev_seen": ((8291, 1), (46971, 0), (3745, 1)), "train": ((42953, 0), (23058, 1))}


def write(root: Path, dev: str = "dev_seen") -> Path:
    (root / "img").mkdir(parents=True)
    for split, rows in ROWS.items():
        facts = [{"id": i, "img": f"img/{i:05d}.png", "label": label, "text": "..."} for i, label in rows]
        name = dev if split == "dev_seen" else split
        (root / f"{name}.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
        for i, _ in rows:
            (root / "img" / f"{i:05d}.png").write_bytes(str(i).encode())
    (root / "test_seen.jsonl").write_text('{"id":16395,"img":"img/16395.png","text":"..."}\n')
    return root


@pytest.mark.parametrize(
    ("below", "dev"),
    [("hateful_memes", "dev_seen"), ("hateful-memes/data", "dev_seen"), ("hateful_memes", "dev")],
)
def test_memes_and_labels(tmp_path: Path, below: str, dev: str) -> None:
    write(tmp_path / below, dev)
    benchmark = open_benchmark(f"hateful_memes={find(card_of('hateful_memes'), tmp_path)}")
    (test,) = benchmark.tests
    assert (test.split, test.metric) == (dev, "roc_auc")
    assert benchmark.train is not None
    for part, rows in ((test, ROWS["dev_seen"]), (benchmark.train, ROWS["train"])):
        assert part.classes is not None
        assert part.classes.of.tolist() == [label for _, label in rows]
        assert [part.read(i) for i in range(len(part))] == [str(i).encode() for i, _ in rows]
    assert test.classes is not None
    assert test.classes.names[1] == "hatespeech meme"  # ROC AUC is of label 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"label": 0, ', "", "line 2 of .* has no img and label"),
        ('"label": 0', '"label": 2', "has the label 2; wanted one of 2"),
        ("08291", "08292", "1 of the 3 pictures .* first 'img/08292.png'"),
        ('{"id": 3745', "{", "line 3 of"),
    ],
)
def test_broken_lines(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = write(tmp_path) / "dev_seen.jsonl"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SightwordError, match=says) as error:
        open_benchmark(f"hateful_memes={tmp_path}")
    assert "\n" not in str(error.value)
