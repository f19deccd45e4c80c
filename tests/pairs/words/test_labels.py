from __future__ import annotations

from sightword.pairs.sample import Text
from sightword.pairs.words.labels import DRAWS, choose, texts_of

FACE = Text("k", ("face",), {"tags": ["happy", "smile", "joy"], "i18n": {"fr": "visage", "de": "Gesicht"}})


def test_numbers_decide_the_form():
    def chosen(languages: bool, *numbers: float) -> str:
        return choose(FACE, languages, [*numbers, *[0.0] * (DRAWS - len(numbers))])

    assert chosen(False, 0.4) == "face"
    assert chosen(False, 0.5, 0.0) == "face, happy"
    assert chosen(False, 0.9, 0.99) == "face, happy, smile, joy"
    assert chosen(False, 0.9, 0.0, 0.99) == "face, joy"
    assert chosen(True, 0.75, 0.0) == "Gesicht"
    assert chosen(True, 0.75, 0.99) == "visage"


def test_texts_are_listed_with_and_without_languages():
    assert texts_of(FACE, languages=False) == ["face", "happy", "smile", "joy"]
    assert texts_of(FACE, languages=True) == ["face", "happy", "smile", "joy", "Gesicht", "visage"]
