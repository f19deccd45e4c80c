"""What one caption is like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightword.corpora.stats.words import NO_LETTERS, NOISE, letters, noise, script, words


def test_words_are_runs_of_letters_and_digits() -> None:
    assert words("It's a Dog, 2nd-hand; naïve café") == ["it's", "a", "dog", "2nd", "hand", "naïve", "café"]
    assert words("...") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog", "Latin"),
        ("Кошка на окне (cat)", "Cyrillic"),
        ("窓辺の猫と花瓶", "Chinese characters"),
        ("ねこ", "Hiragana"),
        ("قطة على", "Arabic"),
        ("café", "Latin"),
        ("12 - 34", NO_LETTERS),
        ("🎈 42", NO_LETTERS),
    ],
)
def test_script_is_that_of_most_letters(text: str, expected: str) -> None:
    assert script(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog on a lawn", []),
        ("IMG_1234.JPG", ["a file name"]),
        ("DSC01234", ["a file name", "fewer letters than other signs"]),
        ("my dog.jpeg", ["a file name"]),
        ("img 7 of the house", []),
        ("see https://a.b/c for more", ["a web address"]),
        ("buy at shop.com today", ["a web address"]),
        ("<b>bold</b> words", ["HTML"]),
        ("bread &amp; butter", ["HTML"]),
        ("bread & butter; jam", []),
        ("3 < 5 and 7 > 2 says maths", []),
        ("12 - 34", ["no letters"]),
        ("SALE TODAY", ["capitals only"]),
        ("NASA", []),
        ("a 12345678", ["fewer letters than other signs"]),
    ],
)
def test_noise_is_told_by_its_name(text: str, expected: list[str]) -> None:
    assert noise(text) == expected


@given(st.text(max_size=60))
def test_any_text_can_be_asked(text: str) -> None:
    assert set(noise(text)) <= set(NOISE)
    assert (letters(text) == 0) == (script(text) == NO_LETTERS) or not text.isascii()
    assert 0 <= letters(text) <= len(text)


def test_long_captions_are_read_at_once() -> None:
    assert noise("1" * 1_000_000) == ["a file name", "no letters"]
