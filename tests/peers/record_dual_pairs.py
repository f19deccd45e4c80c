"""Run transformers' dual encoder once and store what it answers.

    PYTHONPATH=PEERS python tests/peers/record_dual_pairs.py

with transformers in the folder PEERS. For test_peer_dual_pairs.py. Its weights are given by a formula (see
formula.py), so that only names, shapes and answers are kept.
"""

from __future__ import annotations

import importlib
import json

import dual_pairs
from formula import shapes_of
from recording import save
from torchvision_schemas import load_torchvision


def main() -> None:
    load_torchvision()
    found = dual_pairs.ask(importlib.import_module)
    sources = {"shapes": json.dumps(shapes_of(found.tensors)), "config": json.dumps(found.config)}
    sources["transformers"] = importlib.import_module("transformers").__version__
    save({"images": found.images, "image": found.image, "text": found.text}, "dual_pairs", sources)


if __name__ == "__main__":
    main()
