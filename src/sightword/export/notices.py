"""Whose work went into a model: the notices of its data, and of the tokenizer that travels along."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sightword.pairs.remote.stores import is_address
from sightword.pairs.sources import open_pairs
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.model import Model

FILE = "NOTICE.md"
_NAMES = ("NOTICE.md", "NOTICE", "NOTICE.txt", "LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCES.md")
_LONGEST = 1_000_000  # bytes of a notice
_CLIP = (
    "The tokenizer is that of CLIP, Copyright (c) 2021 OpenAI, under the MIT License"
    " (https://github.com/openai/CLIP)."
)


def write(model: Model, folder: Path) -> bool:
    """Write `NOTICE.md` where there is something to tell; whether there was."""
    data = model.config.data
    parts = [part for place in data.path.split("::") for part in of_data(place.strip())]
    if model.has_text and isinstance(model.tokenizer, ClipTokenizer):
        parts.append(_CLIP)
    if parts:
        (folder / FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return bool(parts)


def of_data(place: str) -> list[str]:
    """What lies beside some pairs: a file of notices, or of the embedded demo what its samples say."""
    if place == "demo":
        return [_of_demo()]
    if not place or is_address(place):
        return []
    given = Path(place)
    folder = given if given.is_dir() else given.parent
    found = [folder / name for name in _NAMES if (folder / name).is_file()]
    return [
        f"Beside the data `{given.name}` lies {file.name}:\n\n{_text(file)}"
        for file in found
        if file.stat().st_size <= _LONGEST
    ]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip()


def _of_demo() -> str:
    makers = Counter(
        tuple(str(one.fields.get(name, "")) for name in ("vendor", "license"))
        for one in open_pairs("demo", "train").texts()
    )
    rows = [f"| {vendor} | {licence} | {count:,} |" for (vendor, licence), count in sorted(makers.items())]
    head = ["Pictures that were learned from:", "", "| drawn by | licence | pictures |", "|---|---|--:|"]
    return "\n".join([*head, *rows])
