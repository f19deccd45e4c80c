"""Names of drawings in words: styles and sizes taken off, and what two names have in common."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

# Words that say how something is drawn, never what. Words that may be either ("light", "line", "round") are
# taken off only where a set lists them as its own styles.
_STYLES = "outline outlined filled fill solid duotone twotone two-tone bold linear broken bulk rounded sharp"
_SIZES = "12 16 20 24 28 32 36 40 48 56 64 72 96 128 256 1x1 4x3"
_ALWAYS = frozenset((*_STYLES.split(), *_SIZES.split()))
_COUNTED = frozenset(
    {"number", "numeric", "digit", "keycap", "level", "step", "top", "route", "channel", "dice"}
)
_WRAPPING = re.compile(
    r"^((file|folder)( type)?|logo|flag( for| of)?|lang) | (open(ed)?|light|dark|icon|logo|wordmark|original|"
    r"plain|colou?r|line|background|alt|new|duo|flat|mono|\d+)$"
)
_BETWEEN = re.compile(r"[-_\s]+|(?<=[a-z])(?=[A-Z])")
_PEOPLE = re.compile(
    r"\b((medium[ -])?(light|dark)|medium)([ -]skin([ -]tone)?)?$|\bskin tone\b|\bdefault$"
    r"|\b(man|woman|men|women|person|people|male|female|boy|girl)\b"
)


def words(name: str) -> str:
    """`north-arrow_2` as `north arrow 2`, and `MapTravel` as `map travel`."""
    return " ".join(_BETWEEN.sub(" ", name).lower().split())


def without_style(name: str, own: Collection[str] = (), numbered: bool = False) -> str:
    """A drawing's name in words, without the style and size at its end.

    Args:
        name: as in its set, e.g. `add-circle-16-filled`.
        own: what the set lists as its styles, e.g. `duo`.
        numbered: whether the set tells several drawings of one thing apart by numbers, e.g. `atom-2`.
    """
    plain, before = name.lower(), ""
    while plain != before:
        before = plain
        if found := _ending(tuple(own)).fullmatch(plain):
            plain = found[1]
        if numbered and (found := re.fullmatch(r"(.*?([a-z]+))-\d{1,2}", plain)) and found[2] not in _COUNTED:
            plain = found[1]
    return words(plain)


def without_prefix(name: str, own: Collection[str]) -> str:
    """A name without the prefix that its set lists as a style."""
    for prefix in sorted(filter(None, own), key=len, reverse=True):
        if name.startswith(f"{prefix}-"):
            return name[len(prefix) + 1 :]
    return name


def concept(caption: str) -> str:
    """What a caption shares with its variants: no skin tone, gender, number, nor kind of logo or file."""
    plain, before = caption.lower(), ""
    while plain != before:
        before = plain
        for pattern in (_PEOPLE, _WRAPPING):
            rest = " ".join(pattern.sub(" ", plain).split()).strip(" :,")
            plain = rest or plain
    return plain


@lru_cache
def _ending(own: tuple[str, ...]) -> re.Pattern[str]:
    """A name that ends in a style, of those of all sets and a set's own."""
    styles = sorted(re.escape(style) for style in {*_ALWAYS, *filter(None, own)})
    return re.compile(rf"(.*[^-].*)-(?:{'|'.join(styles)})", re.DOTALL)
