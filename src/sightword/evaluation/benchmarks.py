"""Where labelled data comes from: one function that looks at a place and opens what lies there.

A new layout or a suite of data sets is one more function that yields a `Benchmark`.
"""

from __future__ import annotations

from pathlib import Path

from sightword.errors import SightwordError
from sightword.evaluation.demo import open_demo
from sightword.evaluation.imagefolder import is_imagefolder, open_imagefolder
from sightword.evaluation.labelled import Benchmark, LabelledSet, Labels
from sightword.evaluation.webdatasets import is_clip_benchmark, open_clip_benchmark, open_labelled_tar

__all__ = ["Benchmark", "LabelledSet", "Labels", "open_benchmark"]

WANTED = "wanted demo, a folder of class folders, a CLIP_benchmark folder (test/0.tar) or a labelled tar"


def open_benchmark(where: str) -> Benchmark:
    """The benchmark at a place: `demo`, a folder or a tar.

    Raises:
        SightwordError: when nothing known lies there, or it is broken.
    """
    if where == "demo":
        return open_demo()
    path = Path(where).expanduser()
    if not path.exists():
        raise SightwordError(f"nothing at '{where}' to evaluate on; {WANTED}")
    if path.is_file():
        return open_labelled_tar(path)
    if is_clip_benchmark(path):
        return open_clip_benchmark(path)
    if is_imagefolder(path):
        return open_imagefolder(path)
    raise SightwordError(f"'{where}' is a folder without class folders or tars; {WANTED}")
