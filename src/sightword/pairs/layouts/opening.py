"""`LAYOUT:FOLDER`: a published corpus opened where it lies."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sightword.errors import SightwordError, unknown
from sightword.pairs.base import Pairs
from sightword.pairs.layouts import coco, conceptual, redcaps, yfcc15m
from sightword.pairs.layouts.layout import FindIn
from sightword.pairs.lists.listed import Stamp, open_listed
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.reading import Reading

_NAMED = re.compile(r"([a-z][a-z0-9-]+):(.*)", re.DOTALL)
_VERSION = 1  # of what the layouts make of the same files
_LAYOUTS: dict[str, FindIn] = {
    "yfcc15m": yfcc15m.find,
    "cc3m": conceptual.find_cc3m,
    "cc12m": conceptual.find_cc12m,
    "redcaps": redcaps.find,
    "coco": coco.find,
    "coco2014": coco.find_2014,
    "coco2017": coco.find_2017,
    "coco-karpathy": coco.find_karpathy,
}


def open_here(part: str, split: str, reading: Reading) -> Pairs | None:
    """Open a published corpus by its layout's name and its folder.

    Rows whose pictures are not there, which is normal where they were downloaded, are left out and counted.

    Raises:
        SightwordError: there is no such layout or folder, the folder does not look like it, an annotation
            file is damaged or wants to run code, or no row is left.
    """
    named = _NAMED.fullmatch(part)
    if named is None or "://" in part or os.path.exists(part):
        return None
    name, folder = named[1], Path(os.path.expanduser(named[2])).absolute()
    if name not in _LAYOUTS:
        if folder.is_dir():
            raise unknown("layout", name, _LAYOUTS, f"(from '{part}')")
        return None
    if not folder.is_dir():
        raise SightwordError(f"'{folder}' is no folder; write --data {name}:FOLDER")
    root = Path(reading.image_root).expanduser().absolute() if reading.image_root else folder
    found = _LAYOUTS[name](folder, root)
    hint = f"pictures are looked for in '{root}': give another folder with --image-root, or download them"
    wanted = Wanted(part, split, reading.captionless, hint=hint)
    stamp = Stamp.of(found.watched, "layout", name, _VERSION, str(root))
    return open_listed(found.rows(wanted), stamp, wanted)
