"""Question sets: pictures as in any labelled set, with questions about them and the answers people gave."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from sightword.errors import SightwordError
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.vqa.rules import Rule


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions, column by column.

    keys: the publisher's ids, each once.
    of: for each question, the position of its picture in the set, shape (n,).
    texts: the questions.
    answers: what people answered, ten times in VQA v2, once in GQA and CLEVR.
    agreed: the one answer that the publisher names.
    kinds: the groups by which accuracies are told, such as `number` or `structural=query`.
    details: a finer group, kept in the outcomes: VQA's question type, GQA's detailed type, CLEVR's family.
    """

    keys: tuple[str, ...]
    of: Int64[np.ndarray, " n"]
    texts: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    agreed: tuple[str, ...]
    kinds: tuple[tuple[str, ...], ...]
    details: tuple[str, ...]

    def __post_init__(self) -> None:
        for column in (self.of, self.texts, self.answers, self.agreed, self.kinds, self.details):
            assert len(column) == len(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False)
class QuestionSet(LabelledSet):
    """A labelled set whose pictures are asked about: `keys` and `read` are of pictures, read once each.

    rule: when an answer is right.
    """

    questions: Questions = field(kw_only=True, repr=False)
    rule: Rule = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = self.questions.keys
        if not keys:
            raise SightwordError(f"{self.name}/{self.split} holds no questions; wanted at least one")
        if len(set(keys)) != len(keys):
            twice = _first_twice(keys)
            raise SightwordError(
                f"{self.name}/{self.split} asks the question '{twice}' twice; ids must differ"
            )

    @cached_property
    def data_hash(self) -> str:
        """A hash of the pictures' bytes, the questions and their answers; reads every picture once."""
        asked = self.questions
        digest = hashlib.blake2b(super().data_hash.encode(), digest_size=16)
        digest.update(asked.of.astype("<i8").tobytes() + self.rule.name.encode())
        for column in (asked.keys, asked.texts, asked.answers, asked.agreed, asked.kinds, asked.details):
            digest.update(repr(column).encode())
        return digest.hexdigest()

    def picture_keys(self, rows: Int64[np.ndarray, " m"]) -> list[str]:
        """The key of the picture that each of these questions is about: they err together."""
        return self.keys_of(self.questions.of[rows])


def _first_twice(keys: Sequence[str]) -> str:
    seen = set[str]()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is there twice")
