"""What one caption is like: its words, its script, and whether it is words at all."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

import regex

NO_LETTERS = "no letters"
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['\u2019][\p{L}\p{M}\p{N}]+)*")
_LETTER = regex.compile(r"[\p{L}\p{M}]")
_ADDRESS = regex.compile(r"https?://|www\.\w|\b[\w-]+\.(?:com|org|net|de|co\.uk)\b", regex.IGNORECASE)
_HTML = regex.compile(r"</?[a-z][^<>]{0,200}>|&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,6});", regex.IGNORECASE)
_FILE = regex.compile(
    r"\.(?:jpe?g|png|gif|webp|tiff?|bmp|svg|heic)\b"  # an extension
    r"|\b(?:IMG|DSC[NF]?|PICT|DCIM|MVC|PXL|MVI|GOPR|CIMG|SAM|P|_MG)[_-]?\d{3,}"  # what cameras number
    r"|^\w*\d{5,}\w*$",  # one word with a long number
    regex.IGNORECASE,
)
_ENOUGH = 1000  # characters of a caption that are searched
_PLAIN_LETTER = regex.compile(r"[a-zA-Z]")


def words(text: str) -> list[str]:
    """Runs of letters and digits in lower case. Scripts without spaces give a word for each run."""
    found: list[str] = _WORD.findall(text.lower())
    return found


def letters(text: str) -> int:
    """How many of its characters are letters or marks on them."""
    return len((_PLAIN_LETTER if text.isascii() else _LETTER).findall(text))


def script(text: str) -> str:
    """The script of most of its letters, by the first word of their Unicode names; of equals the first."""
    if text.isascii():
        return "Latin" if _PLAIN_LETTER.search(text) else NO_LETTERS
    found = Counter(_script_of(letter) for letter in _LETTER.findall(text))
    found.pop("", None)
    return found.most_common(1)[0][0] if found else NO_LETTERS


def noise(text: str) -> list[str]:
    """What speaks against its being a description; each name is a reason by itself."""
    stripped = text.strip()[:_ENOUGH]
    found = []
    if _ADDRESS.search(stripped):
        found.append("a web address")
    if _HTML.search(stripped):
        found.append("HTML")
    if _FILE.search(stripped):
        found.append("a file name")
    there = letters(stripped)
    if not there:
        found.append("no letters")
    elif 2 * there < sum(not letter.isspace() for letter in stripped):
        found.append("fewer letters than other signs")
    if not found and stripped.isupper() and sum(letters(word) > 1 for word in words(stripped)) > 1:
        found.append("capitals only")
    return found


NOISE = (
    "a web address",
    "HTML",
    "a file name",
    "no letters",
    "fewer letters than other signs",
    "capitals only",
)


@lru_cache(maxsize=65536)
def _script_of(letter: str) -> str:
    name = unicodedata.name(letter, "")
    first = name.split(" ")[0].split("-")[0].capitalize()
    return {"Cjk": "Chinese characters", "Combining": "", "Fullwidth": "Latin"}.get(first, first)
