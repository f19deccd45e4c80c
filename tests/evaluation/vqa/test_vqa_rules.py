"""Accuracies against hand-computed cases and a twin that leaves out one person after another."""

from __future__ import annotations

import numpy as np
import pytest

from sightword.evaluation.vqa.rules import Consensus, Exact, agreement
from sightword.evaluation.vqa.wording import normalised

RULE = Consensus()


def twin(given: str, people: list[str]) -> float:
    """VQA's accuracy as its definition reads; `given` and `people` are already normal."""
    every = []
    for left_out in range(len(people)):
        others = [answer for i, answer in enumerate(people) if i != left_out]
        every.append(min(sum(answer == given for answer in others) / 3, 1))
    return sum(every) / len(every)


def test_agreement_of_ten() -> None:
    assert [round(agreement(k, 10), 10) for k in range(11)] == [0, 0.3, 0.6, 0.9, 1, 1, 1, 1, 1, 1, 1]


def test_scores_are_the_definitions() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        people = random.choice(["yes", "no", "red", "blue", "3"], 10, p=[0.4, 0.2, 0.2, 0.1, 0.1]).tolist()
        for given in ("yes", "no", "red", "blue", "3", "green"):
            assert RULE.score(given, people) == pytest.approx(twin(given, people))
        assert RULE.worth(people) == pytest.approx({a: twin(a, people) for a in set(people)})


def test_people_are_normalised_where_they_differ() -> None:
    people = ["The dog."] * 2 + ["dog"] * 1 + ["2 dogs"] * 6 + ["two dogs"]
    assert RULE.score("dog", people) == pytest.approx(0.9)
    assert RULE.score("A Dog", people) == pytest.approx(0.9)
    assert RULE.score("2 dogs", people) == 1
    assert RULE.worth(people) == pytest.approx({"dog": 0.9, "2 dogs": 1.0})


def test_where_all_agree_the_letter_counts() -> None:
    assert RULE.score("the dog", ["the dog"] * 10) == 1
    assert RULE.score("dog", ["the dog"] * 10) == 0
    assert RULE.score(" the\tdog\n", ["the dog "] * 10) == 1


def test_one_person_alone() -> None:
    assert RULE.score("x", ["x"]) == 0  # nobody else said so
    assert RULE.worth(["x"]) == {}
    assert Exact().worth(["x"]) == {"x": 1.0}


def test_exact_is_exact() -> None:
    assert Exact().score("red", ["red"]) == 1
    assert Exact().score("Red", ["red"]) == 0
    assert Exact().spelled("The Red.") == "The Red."


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("Yes", "yes"),
        ("an  apple on the table", "apple on table"),
        ("The", ""),
        ("ten", "10"),
        ("none", "0"),
        ("zero", "0"),
        ("one of three", "1 of 3"),
        ("eleven", "eleven"),
        ("10.5", "10.5"),
        ("3.", "3"),
        (".5", ".5"),
        ("U.S.A.", "usa"),
        ("red/white", "red white"),  # a mark between letters becomes a space
        ("red / white", "red white"),  # beside a space it vanishes, and so do all others of its kind
        ("red/ white/blue", "red whiteblue"),
        ("black-and-white", "black and white"),
        ("1,000", "1000"),  # a comma between digits makes every mark vanish
        ("1,000-2,000/day", "10002000day"),
        ("yes, it is", "yes it is"),
        ("yes,it is", "yes it is"),
        ("what?!", "what"),
        ('"stop"', "stop"),
        ("{a} (b) [c]", "b c"),
        ("don't", "don't"),
        ("dont", "don't"),
        ("Wouldnt", "wouldn't"),
        ("wouldnt've", "wouldn't've"),
        ("wouldn'tve", "wouldn't've"),
        ("wouldntve", "wouldntve"),  # two are missing: not among the publishers'
        ("y'alld've", "y'all'd've"),
        ("ow's'at", "'ow's'at"),
        ("oclock", "o'clock"),
        ("somebody'd", "somebodyd"),  # the publishers' slip
        ("im", "im"),  # theirs is listed as "Im", which no lowered word is
        ("ive", "ive"),
        ("id", "id"),
        ("she's", "she's"),
        ("lets", "lets"),
        ("man's: hat", "man's: hat"),  # neither apostrophe nor colon is a mark
        ("its_name", "its name"),
        ("<b>@x=y+z`", "b x y z"),
        ("50%", "50%"),
    ],
)
def test_normal_wording(answer: str, normal: str) -> None:
    assert normalised(answer) == normal
