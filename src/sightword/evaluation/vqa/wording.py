"""How answers in free words are made comparable: the rules of VQA's evaluation (1505.00468).

Written from the rules that visualqa.org/evaluation names and their published form for VQA v2.0
(GT-Vision-Lab/VQA, evaluation tools), slips that decide numbers included; each is marked below.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NUMBERS = ("none", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(max(0, i - 1)) for i, word in enumerate(_NUMBERS)}  # "none" is 0 too
_ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'  # neither the apostrophe nor the colon
_DIGIT_COMMA = re.compile(r"\d,\d")
# The publishers' expression means to spare the points of decimals, but looks only at what follows.
_POINT = re.compile(r"\.(?!\d)")

# Right forms. An answer that lacks exactly one of a form's apostrophes gets it. "I'm" and the like are not
# among them: the publishers list them with a capital, which no lowered word has.
_FORMS = """
    ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd
    how'll how's isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock
    oughtn't shan't should've shouldn't somebody'll somebody's someone'd someone'll someone's
    something'd something'll that's there'd there're there's they'd they'll they're they've 'twas wasn't
    we've weren't what'll what're what's what've when's where'd where's where've who'd who'll who's
    who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've couldn't've
    hadn't've he'd've it'd've mightn't've 'ow's'at she'd've shouldn't've somebody'd've someone'd've
    something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'll y'all'd've you'd've
"""
_RESTORED = {
    form[:i] + form[i + 1 :]: form
    for form in _FORMS.split()
    for i, letter in enumerate(form)
    if letter == "'"
}
_RESTORED["somebody'd"] = "somebodyd"  # the publishers' own slip, kept: the table is part of the metric


def tidied(answer: str) -> str:
    """The answer on one line, without spaces around it."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(maxsize=1 << 20)
def normalised(answer: str) -> str:
    """Lower case, without punctuation and articles, numbers up to ten as digits, contractions restored."""
    words = (_DIGITS.get(word, word) for word in _unpunctuated(answer).lower().split())
    return " ".join(_RESTORED.get(word, word) for word in words if word not in _ARTICLES)


def _unpunctuated(answer: str) -> str:
    """A mark beside a space vanishes, any other becomes a space; where a comma parts digits, all vanish."""
    parted = bool(_DIGIT_COMMA.search(answer))
    found = answer
    for mark in _PUNCTUATION:
        vanishes = parted or f"{mark} " in answer or f" {mark}" in answer
        found = found.replace(mark, "" if vanishes else " ")
    return _POINT.sub("", found)
