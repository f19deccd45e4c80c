"""Questions are read as their publishers ship them, each with the picture and answers that belong to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from asked_pictures import COLOURS, write_clevr, write_gqa, write_vqav2

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark, places_of
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.rules import Consensus, Exact
from sightword.views.decode import decode


def seen(part: QuestionSet, question: int) -> str:
    """The colour that is truly in the picture of a question, judged by its pixels."""
    picture = int(part.questions.of[question])
    found = part.read(picture)
    assert isinstance(found, bytes)
    mean = decode(found, part.keys[picture]).reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def opened(where: str) -> tuple[QuestionSet, QuestionSet, QuestionSet | None]:
    benchmark = open_benchmark(where)
    (test,), train = benchmark.tests, benchmark.train
    assert isinstance(test, QuestionSet)
    assert isinstance(train, QuestionSet)
    own = train.validation
    assert own is None or isinstance(own, QuestionSet)
    return test, train, own


def agree(part: QuestionSet, text: str) -> int:
    """How many questions of that wording are answered by the colour in their picture; all must be."""
    rows = [i for i, found in enumerate(part.questions.texts) if found == text]
    for i in rows:
        assert part.questions.agreed[i] == seen(part, i)
    return len(rows)


def test_vqav2(tmp_path: Path) -> None:
    write_vqav2(tmp_path / "vqav2", agreeing=8)
    (where,), missing = places_of(["vqav2"], tmp_path)
    assert missing == []
    test, train, own = opened(where)
    assert (test.name, test.split, train.split, own) == ("vqav2", "val", "train", None)
    assert (len(test), len(test.questions), len(train), len(train.questions)) == (12, 24, 40, 80)
    assert test.keys[0] == "COCO_val2014_000000500000.jpg"
    assert agree(test, "What color is the square?") == 12
    assert agree(train, "What color is the square?") == 40
    assert isinstance(test.rule, Consensus)
    assert test.questions.keys[:2] == ("500000000", "500003000")
    assert test.questions.kinds[11:13] == (("other",), ("yes/no",))
    assert test.questions.details[11:13] == ("what color is the", "is the")
    colour = test.questions.agreed[0]
    assert test.questions.answers[0] == (colour,) * 8 + (f"a dark {colour}",) * 2
    assert test.picture_keys(np.array([1, 12])) == [test.keys[1], test.keys[0]]


def test_vqav2_in_the_folders_of_its_own_tools(tmp_path: Path) -> None:
    root = write_vqav2(tmp_path / "flat", 4, 4)
    tidy = tmp_path / "VQAv2"
    for name, folder in (("v2_Open*", "Questions"), ("v2_mscoco*", "Annotations")):
        (tidy / folder).mkdir(parents=True)
        for file in root.glob(name):
            file.rename(tidy / folder / file.name)
    (tidy / "Images" / "mscoco").mkdir(parents=True)
    for folder in ("train2014", "val2014"):
        (root / folder).rename(tidy / "Images" / "mscoco" / folder)
    test, train, _ = opened(f"vqav2={tidy}")
    assert agree(test, "What color is the square?") == agree(train, "What color is the square?") == 4


def test_gqa(tmp_path: Path) -> None:
    root = write_gqa(tmp_path / "gqa", [("train", 9), ("val", 3), ("testdev", 5)])
    file = root / "questions" / "testdev_balanced_questions.json"
    questions = json.loads(file.read_text())
    first = next(iter(questions))
    questions["unbalanced"] = {**questions[first], "isBalanced": False}
    file.write_text(json.dumps(questions))
    test, train, own = opened(f"gqa={root}")
    assert own is not None
    assert (test.split, train.split, own.split) == ("testdev", "train", "val")
    assert [len(part.questions) for part in (test, train, own)] == [10, 18, 6]
    assert "unbalanced" not in test.questions.keys
    for part, count in ((test, 5), (train, 9), (own, 3)):
        assert agree(part, "What color is the square?") == count
    assert isinstance(test.rule, Exact)
    assert test.questions.kinds[0] == ("structural=query", "semantic=attr")
    assert test.questions.details[1] == "verifyAttr"
    assert test.keys[0] == "n200.jpg"


def test_clevr(tmp_path: Path) -> None:
    write_clevr(tmp_path / "CLEVR_v1.0")
    (where,), _ = places_of(["clevr_qa"], tmp_path)
    test, train, own = opened(where)
    assert (test.split, train.split, own) == ("val", "train", None)
    assert (len(test), len(test.questions), len(train.questions)) == (4, 12, 18)
    assert agree(test, "What color is the square?") == 4
    assert agree(train, "What color is the square?") == 6
    assert test.questions.kinds[:3] == (("query",), ("count",), ("compare_integer",))
    assert test.questions.details[0] == "family 74"
    assert test.keys == tuple(f"CLEVR_val_{i:06}.png" for i in range(4))


def test_the_hash_knows_pictures_questions_and_answers(tmp_path: Path) -> None:
    root = write_clevr(tmp_path / "c")

    def hashed() -> str:
        return open_benchmark(f"clevr_qa={root}").tests[0].data_hash

    before = hashed()
    assert hashed() == before
    file = root / "questions" / "CLEVR_val_questions.json"
    content = json.loads(file.read_text())
    content["questions"][0]["answer"] = "cyan"
    file.write_text(json.dumps(content))
    asked = hashed()
    (root / "images" / "val" / "CLEVR_val_000001.png").write_bytes(b"another")
    assert len({before, asked, hashed()}) == 3


def test_what_is_missing_or_broken_is_said(tmp_path: Path) -> None:
    root = write_vqav2(tmp_path / "v", 3, 3)
    annotations = root / "v2_mscoco_val2014_annotations.json"
    whole = annotations.read_text()
    content = json.loads(whole)
    content["annotations"].pop()
    annotations.write_text(json.dumps(content))
    with pytest.raises(SightwordError, match="lacks question 500000000 of"):
        open_benchmark(f"vqav2={root}")
    annotations.write_text(whole[:-40])
    with pytest.raises(SightwordError, match="is not whole JSON"):
        open_benchmark(f"vqav2={root}")
    annotations.write_text(whole)
    (root / "val2014" / "COCO_val2014_000000500003.jpg").unlink()
    with pytest.raises(SightwordError, match=r"lacks 1 of the 3 pictures .*COCO_val2014_000000500003\.jpg"):
        open_benchmark(f"vqav2={root}")
    clevr = write_clevr(tmp_path / "c", 2, 2)
    file = clevr / "questions" / "CLEVR_val_questions.json"
    content = json.loads(file.read_text())
    content["questions"][1]["question_index"] = 0
    file.write_text(json.dumps(content))
    with pytest.raises(SightwordError, match="asks the question '0' twice"):
        open_benchmark(f"clevr_qa={clevr}")
    del content["questions"][0]["program"]
    file.write_text(json.dumps(content))
    with pytest.raises(SightwordError, match="holds a question of another shape"):
        open_benchmark(f"clevr_qa={clevr}")
    content["questions"] = []
    file.write_text(json.dumps(content))
    with pytest.raises(SightwordError, match="has no list of questions"):
        open_benchmark(f"clevr_qa={clevr}")
