"""How far features are from those of the libraries whose weights are read and written, at real sizes.

    PYTHONPATH=PEERS python bench/interop.py [--sources FOLDER] [--only TEXT] [--out FILE]

Random weights of the real architectures go through files as those libraries lay them out; each side prepares
and normalises pictures and cuts captions by itself; float32. A row gives the largest difference of two
numbers and the smallest cosine, of pictures and of captions. What is not installed is left out, and said so.
A room `_interop_*.py` gives the cases of some libraries.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peers"))

import torch
from torch import Tensor
from torchvision_schemas import load_torchvision

load_torchvision()

import _interop_clip  # noqa: E402
import _interop_images  # noqa: E402
import _interop_out  # noqa: E402
from _interop import Case  # noqa: E402
from _results import append  # noqa: E402

ROOMS = (_interop_clip, _interop_images, _interop_out)  # each has CASES
LIMIT = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sources",
        type=Path,
        help="a folder with checkouts called SLIP, mae, moco-v3 and OpenAI's CLIP",
    )
    parser.add_argument("--only", default="", help="cases whose line contains this")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    cases = [case for room in ROOMS for case in room.CASES if given.only in title(case)]
    rows = []
    for number, case in enumerate(cases, 1):
        print(f"{number} of {len(cases)}: {title(case)} ", end="", flush=True)
        rows.append(row := compared(case, given.sources))
        print(told(row), flush=True)
    append(given.out, "interop", rows, torch=torch.__version__, threads=torch.get_num_threads())
    far = [row for row in rows if not row.get("agrees", True)]
    sys.exit(f"{len(far)} of {len(rows)} differ by more than {LIMIT}" if far else 0)


def title(case: Case) -> str:
    return f"{case.family}, {case.direction}, {case.architecture}"


def compared(case: Case, sources: Path | None) -> dict[str, Any]:
    """One row; `left_out` says why there are no figures."""
    row: dict[str, Any] = {"family": case.family, "direction": case.direction}
    row |= {"architecture": case.architecture}
    begun = time.perf_counter()
    torch.manual_seed(0)
    try:
        found = case.run(sources)
    except (ImportError, argparse.ArgumentTypeError) as error:
        return row | {"left_out": str(error)}
    row |= {"library": found.library, "how": found.how, "seconds": round(time.perf_counter() - begun, 1)}
    row |= {f"image_{k}": v for k, v in distance(*found.image).items()}
    row |= {} if found.text is None else {f"text_{k}": v for k, v in distance(*found.text).items()}
    fine = all(v <= LIMIT for k, v in row.items() if k.endswith(("max_abs", "cosine_from_1")))
    return row | {"agrees": fine}


def distance(ours: Tensor, theirs: Tensor) -> dict[str, float]:
    """The largest difference of two numbers, of features of length 1, and how far the cosine is from 1."""
    assert theirs.std(0).max() > 1e-4, "rows that are all alike prove nothing"
    longest = max(1.0, float(theirs.norm(dim=1).max()))
    cosine = torch.cosine_similarity(ours.double(), theirs.double()).min()
    return {"max_abs": float((ours - theirs).abs().max()) / longest, "cosine_from_1": 1 - float(cosine)}


def told(row: dict[str, Any]) -> str:
    if "left_out" in row:
        return f"left out: {row['left_out']}"
    figures = ", ".join(f"{k} {v:.1e}" for k, v in row.items() if k.endswith(("max_abs", "cosine_from_1")))
    return f"({row['library']}{', ' if row['how'] else ''}{row['how']}): {figures}; {row['seconds']} s"


if __name__ == "__main__":
    main()
