"""Which column of a table is what, and what a row's values say."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading

_IMAGES = (
    "filepath", "image_path", "img_path", "file_path", "file_name", "filename", "path", "image", "img",
    "picture", "image_file", "file", "jpg", "jpeg", "png", "webp",
)  # fmt: skip
_CAPTIONS = (
    "title", "caption", "captions", "text", "texts", "txt", "sentence", "sentences", "description",
    "alt_text", "alt",
)  # fmt: skip
_ADDRESSES = ("url", "image_url", "img_url", "urls", "link")
_KEYS = ("key", "__key__", "id", "uid")
_BOTH = frozenset({"title", "description"})
_DEFAULT = Reading()


@dataclass(frozen=True)
class Columns:
    """The columns of a table that mean something here, by name."""

    image: str
    captions: tuple[str, ...]
    key: str = ""  # "": keys come from the pictures' paths
    kept: frozenset[str] = frozenset()  # caption columns that are fields too, even when they say nothing
    notes: tuple[str, ...] = ()

    @cached_property
    def spoken(self) -> frozenset[str]:
        """The columns that do not become a sample's fields."""
        return frozenset(("", self.image, self.key, *self.captions)) - self.kept


def choose_columns(names: Sequence[str], reading: Reading, where: str) -> Columns:
    """Find the picture, the captions and the key among a table's columns.

    What `reading` names is taken. Where that is only the default, and is not there, a usual name is, and a
    note says so.

    Raises:
        SightwordError: there is no such column, or two of one name; likely ones are suggested.
    """
    image, notes = _image(names, reading, where)
    captions, more = _captions(names, reading, where, image)
    key = _usual(names, _KEYS, but=(image, *captions))
    for name in (image, *captions):
        if list(names).count(name) > 1:
            raise SightwordError(f"'{where}' has two columns '{name}'; rename one of them")
    # Where it matters which is which, as for SLIP's choice of title or description.
    both = _BOTH if set(names) >= _BOTH else frozenset[str]()
    kept = both | frozenset(captions if len(captions) > 1 else ())
    return Columns(image, captions, key, kept - {image, key}, (*notes, *more))


def usual_caption(names: Sequence[str], reading: Reading) -> tuple[str, ...]:
    """The entries of a lone object that hold its captions: those asked for, else a usual one, else none."""
    asked = [name.strip() for name in reading.caption_key.split(",")]
    there = tuple(name for name in asked if name in names)
    found = _usual(names, _CAPTIONS)
    return there or ((found,) if found else ())


def captions_in(value: Any) -> tuple[str, ...]:
    """The captions that a value holds: a text, or a list of texts."""
    if isinstance(value, str):
        return (value,)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list | tuple) else ()


def path_in(value: Any) -> str:
    """The path that a value names: a text, or Hugging Face's `{"path": ...}`; "" for none."""
    if isinstance(value, dict):
        value = value.get("path")
    return value.strip().removeprefix("file://") if isinstance(value, str) else ""


def is_address(path: str) -> bool:
    """Whether this lies on the web or in a store, where no picture is read from."""
    return "://" in path


def addresses(where: str, what: str) -> SightwordError:
    """What to tell who gives web addresses."""
    return SightwordError(
        f"'{where}' names pictures by web addresses ({what}), which training does not fetch; download them"
        " with img2dataset, and give the shards that it writes"
    )


def picture_root(table: str, reading: Reading) -> str:
    """The folder from which relative picture paths start, as an absolute path."""
    root = os.path.expanduser(reading.image_root) if reading.image_root else os.path.dirname(table)
    return os.path.abspath(root)


def _image(names: Sequence[str], reading: Reading, where: str) -> tuple[str, tuple[str, ...]]:
    asked = reading.image_key
    if asked in names:
        return asked, ()
    found = _usual(names, _IMAGES) if asked == _DEFAULT.image_key else ""
    if found:
        return found, (_note("pictures", asked, found, "--csv-img-key"),)
    address = _usual(names, _ADDRESSES)
    if address and asked == _DEFAULT.image_key:
        raise addresses(where, f"column '{address}'")
    raise _missing(names, asked, _IMAGES, where, "--csv-img-key")


def _captions(
    names: Sequence[str], reading: Reading, where: str, image: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    asked = [name.strip() for name in reading.caption_key.split(",") if name.strip()]
    missing = [name for name in asked if name not in names]
    if asked and not missing:
        return tuple(asked), ()
    found = _usual(names, _CAPTIONS, but=(image,)) if reading.caption_key == _DEFAULT.caption_key else ""
    if found:
        return (found,), (_note("captions", asked[0], found, "--csv-caption-key"),)
    if reading.captionless and reading.caption_key in ("", _DEFAULT.caption_key):
        return (), ()
    raise _missing(names, missing[0] if missing else "", _CAPTIONS, where, "--csv-caption-key")


def _usual(names: Sequence[str], usual: Iterable[str], but: Sequence[str] = ()) -> str:
    """The first of the usual names that is there, in whatever case."""
    lower = {name.lower(): name for name in reversed(names) if name not in but}
    return next((lower[name] for name in usual if name in lower), "")


def _note(what: str, asked: str, found: str, flag: str) -> str:
    return f"no column '{asked}': {what} come from '{found}' ({flag} names another)"


def _missing(names: Sequence[str], asked: str, usual: Sequence[str], where: str, flag: str) -> SightwordError:
    near = _usual(names, usual) or next(iter(difflib.get_close_matches(asked, names, n=1, cutoff=0.5)), "")
    shown = ", ".join(f"'{name[:40]}'" for name in names[:20]) or "none"
    advice = f"perhaps {flag} '{near}'?" if near else f"name the column with {flag}, in a header line"
    return SightwordError(f"'{where}' has no column '{asked}'; its columns: {shown}; {advice}")
