"""Under which licences the pictures on the page are shown, as their own records say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from sightword.errors import SightwordError
from sightword.pairs.sources import open_pairs


def licences(place: str, shown: Collection[str]) -> Mapping[str, int]:
    """How many of the pictures shown stand under each artist's licence; empty where no record says.

    Args:
        place: where the data lies, as `open_pairs` takes it.
        shown: keys of the pictures on the page.
    """
    try:
        texts = open_pairs(place).texts()
    except SightwordError:
        return {}  # a place without pairs (a folder of classes) keeps no licences
    wanted = set(shown)
    found = [text.fields for text in texts if text.key in wanted]
    names = (
        ", ".join(str(f[name]) for name in ("vendor", "creator", "license") if f.get(name)) for f in found
    )
    return dict(Counter(name for name in names if name).most_common())
