"""What a head learns from: answers, losses, batches, and pictures that are held out."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from asked_pictures import write_clevr, write_gqa, write_vqav2

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.vqa.choosing import held_pictures, parted
from sightword.evaluation.vqa.head import Head, Scale
from sightword.evaluation.vqa.learning import Pool, batches, wrong
from sightword.evaluation.vqa.measuring import Answered, measured, outcomes_table
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.recipe import Recipe
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.statistics import bootstrap_mean


def part_of(where: str, train: bool = True) -> QuestionSet:
    benchmark = open_benchmark(where)
    part = benchmark.train if train else benchmark.tests[0]
    assert isinstance(part, QuestionSet)
    return part


@pytest.fixture
def vqav2(tmp_path: Path) -> QuestionSet:
    return part_of(f"vqav2={write_vqav2(tmp_path / 'v', train=44, val=3, agreeing=7)}")


def pool_of(part: QuestionSet) -> Pool:
    return Pool(part, np.arange(len(part.questions)), Vocabulary.of(part).targets(part))


def test_frequent_answers_are_learned(vqav2: QuestionSet) -> None:
    counts = Counter(vqav2.questions.agreed)
    known = Vocabulary.of(vqav2).answers
    assert set(known) == {answer for answer, count in counts.items() if count >= 9}
    assert [counts[answer] for answer in known] == sorted((counts[a] for a in known), reverse=True)


def test_too_few_answers_are_told(tmp_path: Path) -> None:
    part = part_of(f"vqav2={write_vqav2(tmp_path / 'v', train=3, val=3)}")
    with pytest.raises(SightwordError, match="has 0 answers that occur 9 times"):
        Vocabulary.of(part)


def test_targets_are_what_answers_would_score(vqav2: QuestionSet) -> None:
    vocabulary = Vocabulary.of(vqav2)
    targets = vocabulary.targets(vqav2).toarray()
    for row in (0, 1, 30, 43):
        people = vqav2.questions.answers[row]
        expected = [vqav2.rule.score(answer, people) for answer in vocabulary.answers]
        assert targets[row] == pytest.approx(expected)
    assert targets.max() == 1


def test_the_loss_of_answers_right_to_a_degree(vqav2: QuestionSet) -> None:
    pool = pool_of(vqav2)
    logits = torch.randn(3, pool.targets.shape[1], generator=torch.Generator().manual_seed(0))
    rows = np.array([5, 0, 7])
    total = 0.0
    for line, row in zip(logits.double().tolist(), rows, strict=True):
        for logit, target in zip(line, pool.targets[[row]].toarray()[0], strict=True):
            chance = 1 / (1 + math.exp(-logit))
            total -= target * math.log(chance) + (1 - target) * math.log(1 - chance)
    assert float(wrong(logits, pool, rows)) == pytest.approx(total / 3, rel=1e-5)


def test_the_loss_of_one_right_answer(tmp_path: Path) -> None:
    part = part_of(f"clevr_qa={write_clevr(tmp_path / 'c')}")
    pool, known = pool_of(part), Vocabulary.of(part).answers
    logits = torch.randn(3, len(known), generator=torch.Generator().manual_seed(0))
    rows = np.array([4, 0, 8])
    chances = torch.softmax(logits.double(), dim=1)
    right = [chances[i, known.index(part.questions.agreed[row])] for i, row in enumerate(rows)]
    assert float(wrong(logits, pool, rows)) == pytest.approx(
        -float(torch.stack(right).log().mean()), rel=1e-5
    )


@pytest.mark.parametrize("towers", [0.0, 0.1])
def test_every_question_once_an_epoch(vqav2: QuestionSet, towers: float) -> None:
    pool, recipe = pool_of(vqav2), Recipe(batch=10, towers=towers)
    parts = list(batches(pool, 2, recipe))
    assert [len(rows) for rows in parts] == [10] * 8 + [8] + [10] * 8 + [8]
    first, second = np.concatenate(parts[:9]), np.concatenate(parts[9:])
    assert sorted(first) == sorted(second) == list(range(88))
    assert first.tolist() != second.tolist() != sorted(second)
    turns = np.count_nonzero(np.diff(vqav2.questions.of[first]))
    assert turns == 43 if towers else turns > 70  # questions about one of 44 pictures follow each other


def test_pictures_are_held_out_whole(vqav2: QuestionSet) -> None:
    pool = pool_of(vqav2)
    rest, held = parted(pool)
    of = vqav2.questions.of
    assert len(set(of[held.rows])) == 8  # a fifth of 44
    assert not set(of[held.rows]) & set(of[rest.rows])
    assert sorted([*rest.rows, *held.rows]) == list(range(88))
    some = np.arange(44)
    assert len(set(of[some[held_pictures(vqav2, some)]])) == 8


def test_the_head_standardises_fuses_and_can_be_blind() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(50, 6, generator=generator) * 3 + 5
    seen[:, 2] = 7.0  # says nothing
    asked = torch.randn(50, 4, generator=generator)
    head = Head(Scale.of(seen), Scale.of(asked), 3, Recipe(width=8, hidden=5)).eval()
    mean = seen.mean(dim=0).expand(50, 6)
    torch.testing.assert_close(head(None, asked), head(mean, asked))
    assert not torch.allclose(head(seen, asked), head(mean, asked))
    z = (seen - seen.mean(0)) / seen.std(0, correction=0).where(seen.std(0) > 0, 1.0)
    i = torch.nn.functional.gelu(head.image(z))
    q = torch.nn.functional.gelu(head.question((asked - asked.mean(0)) / asked.std(0, correction=0)))
    fused = torch.cat([i, q, i * q, (i - q).abs()], dim=1)
    expected = head.answers(torch.nn.functional.gelu(head.fused(fused)))
    torch.testing.assert_close(head(seen, asked), expected)


def six_pictures(folder: Path) -> QuestionSet:
    root = write_gqa(folder / "gqa", [("train", 1), ("val", 1), ("testdev", 6)])
    return part_of(f"gqa={root}", train=False)


def answered(part: QuestionSet, looking: list[str], blind: list[str]) -> Answered:
    """The questions of a set but the first, with these answers."""
    vocabulary = Vocabulary(("red", "green", "blue", "yes", "no"))
    pool = Pool(part, np.arange(1, len(part.questions)), vocabulary.targets(part))
    ids = (np.array([vocabulary.position[answer] for answer in some]) for some in (looking, blind))
    return Answered(pool, vocabulary, *ids)


def test_accuracies_are_of_the_questions_asked(tmp_path: Path) -> None:
    part = part_of(
        f"gqa={write_gqa(tmp_path / 'g', [('train', 1), ('val', 1), ('testdev', 6)])}", train=False
    )
    truth = list(part.questions.agreed)[1:]
    assert truth.count("yellow") == 1  # is not among the known answers
    looking = [answer if answer != "yellow" else "no" for answer in truth]
    looking[0] = "no" if truth[0] == "yes" else "yes"
    done = answered(part, looking, ["yes"] * 11)
    found = {one.metric: one for one in measured(done)}
    right = np.array([a == b for a, b in zip(looking, truth, strict=True)])
    blind = np.array([answer == "yes" for answer in truth])
    assert found["vqa_accuracy"].interval.value == pytest.approx(9 / 11)
    assert found["vqa_accuracy_question_only"].interval.value == pytest.approx(blind.mean())
    assert found["vqa_accuracy_gained"].interval.value == pytest.approx(right.mean() - blind.mean())
    assert found["vqa_accuracy_ceiling"].interval.value == pytest.approx(10 / 11)
    pictures = np.array(part.picture_keys(np.arange(1, 12)))
    expected = bootstrap_mean(right.astype(float) - blind, clusters=pictures)
    assert found["vqa_accuracy_gained"].interval == expected
    assert found["vqa_accuracy@structural=query"].interval.value == pytest.approx(4 / 5)
    assert found["vqa_accuracy@structural=verify"].n == 6
    rows = outcomes_table(done).to_pylist()
    assert [row["vqa_accuracy"] for row in rows] == right.tolist()
    assert [row["ceiling"] for row in rows] == [float(answer != "yellow") for answer in truth]
    assert [row["predicted_question_only"] for row in rows] == ["yes"] * 11
    assert [row["cluster"] for row in rows] == pictures.tolist()
    assert [row["key"] for row in rows] == list(part.questions.keys[1:])


def test_no_difference_seen_is_not_no_difference(tmp_path: Path) -> None:
    part = part_of(
        f"gqa={write_gqa(tmp_path / 'g', [('train', 1), ('val', 1), ('testdev', 6)])}", train=False
    )
    found = {one.metric: one.interval for one in measured(answered(part, ["yes"] * 11, ["yes"] * 11))}
    gained = found["vqa_accuracy_gained"]
    assert gained.value == 0
    assert -0.5 < gained.low < -0.3 < 0.3 < gained.high < 0.5  # six pictures say little
