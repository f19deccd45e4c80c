"""Who made the pictures of a corpus and under which licences, as its licences ask to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sightword.pairs.sample import Sample

_COLUMNS = ("title", "creator", "creator_url", "license", "license_url", "source", "words")


def write_notices(path: Path, corpus: str, samples: Sequence[Sample]) -> None:
    """A table of the sets used. Each sample's `.json` says the same of itself."""
    sets = Counter(tuple(str(sample.fields.get(name, "")) for name in _COLUMNS) for sample in samples)
    lines = [
        f"# Artwork in the corpus `{corpus}`",
        "",
        "The drawings were drawn as pixels on white; nothing else was changed. Logos and trade marks belong",
        "to their owners.",
        "",
        "| set | made by | licence | from | words from | pictures |",
        "|---|---|---|---|---|---|",
    ]
    for (title, creator, creator_url, license, license_url, source, words), count in sorted(sets.items()):
        cells = _cell(title), _link(creator, creator_url), _link(license, license_url), _cell(source)
        lines.append(f"| {' | '.join(cells)} | {_cell(words) or 'the same'} | {count:,} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _link(text: str, address: str) -> str:
    return f"[{_cell(text)}]({address})" if address.startswith(("https://", "http://")) else _cell(text)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("[", "(").replace("]", ")").split())
