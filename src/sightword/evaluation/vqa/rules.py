"""When an answer is right: by the agreement of ten people (VQA v2), or word for word (GQA, CLEVR)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import final

from sightword.evaluation.vqa.wording import normalised, tidied

NEEDED = 3  # people who must have said so for the whole score


class Rule(ABC):
    """How a data set scores answers.

    soft: a question may have several answers, each right to a degree.
    least: how often an answer must occur in the training part to be learned.
    """

    name: str
    soft: bool
    least: int

    @abstractmethod
    def spelled(self, answer: str) -> str:
        """An answer as a vocabulary holds it."""

    @abstractmethod
    def worth(self, people: Sequence[str]) -> Mapping[str, float]:
        """What each right answer scores, by what people said: above 0, at most 1."""

    @abstractmethod
    def score(self, given: str, people: Sequence[str]) -> float:
        """What an answer scores, from 0 to 1."""


@final
class Consensus(Rule):
    """VQA's accuracy: min(people who said so / 3, 1), averaged over all ways to leave one of them out.

    As published for VQA v2.0 (GT-Vision-Lab/VQA, evaluation tools): wording is normalised only where people
    disagree to the letter; where all ten wrote the same, the answer must be that, to the letter. Answers are
    learned if they are the agreed one of at least nine questions, as is customary (1708.02711).
    """

    name = "min(others who said so / 3, 1), mean over leaving one of ten out"
    soft = True
    least = 9

    def spelled(self, answer: str) -> str:
        return normalised(tidied(answer))

    def worth(self, people: Sequence[str]) -> Mapping[str, float]:
        said = [tidied(answer) for answer in people]
        unanimous = len(set(said)) == 1
        counts = Counter(said if unanimous else map(normalised, said))
        worth = {answer: agreement(count, len(said)) for answer, count in counts.items()}
        return {answer: value for answer, value in worth.items() if value > 0}

    def score(self, given: str, people: Sequence[str]) -> float:
        answer = tidied(given)
        unanimous = len({tidied(one) for one in people}) == 1
        return self.worth(people).get(answer if unanimous else normalised(answer), 0.0)


@final
class Exact(Rule):
    """Right or wrong: the accuracy of GQA (1902.09506) and CLEVR (1612.06890).

    Every answer of the training part is learned.
    """

    name = "exact match"
    soft = False
    least = 1

    def spelled(self, answer: str) -> str:
        return answer

    def worth(self, people: Sequence[str]) -> Mapping[str, float]:
        return {people[0]: 1.0}

    def score(self, given: str, people: Sequence[str]) -> float:
        return float(given == people[0])


def agreement(count: int, people: int) -> float:
    """VQA's score of an answer that `count` of `people` gave: .3, .6, .9 and 1 for 1 to 4 of ten."""
    left_out = count * min((count - 1) / NEEDED, 1.0)  # one of those who said so does not count
    kept = (people - count) * min(count / NEEDED, 1.0)
    return (left_out + kept) / people
