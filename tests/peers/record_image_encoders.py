"""Run image encoders of timm, torchvision, transformers, MAE and MoCo v3 once and store what they answer.

    PYTHONPATH=PEERS python tests/peers/record_image_encoders.py MAE MOCO

with checkouts of facebookresearch/mae and facebookresearch/moco-v3, and timm, torchvision and transformers in
the folder PEERS. For test_peer_image_encoders.py. Their weights are given by a formula (see formula.py), so
that only names, shapes and answers are kept.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import image_encoders
import torch
from formula import shapes_of
from recording import Record, named, origin, save
from torchvision_schemas import load_torchvision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mae", type=Path)
    parser.add_argument("moco", type=Path)
    roots = parser.parse_args()
    load_torchvision()
    peer, record, sources = importlib.import_module, Record(), dict[str, str]()
    for case in image_encoders.CASES:
        found = image_encoders.answers(case, peer, {"mae": roots.mae, "mocov3": roots.moco})
        squares = found.images[..., :: found.images.shape[3] // 4, :: found.images.shape[3] // 4]
        record |= {f"{case}/squares": squares, f"{case}/features": found.features.float()}
        record |= {f"{case}/size": torch.tensor(found.images.shape[3])}
        record |= named(f"{case}/kept", {name: found.tensors[name] for name in found.kept})
        sources[f"shapes {case}"] = json.dumps(shapes_of(found.tensors))
        sources[f"config {case}"] = json.dumps(found.config)
    sources["mae"] = origin(roots.mae, "facebookresearch/mae", "models_mae.py models_vit.py")
    sources["moco-v3"] = origin(roots.moco, "facebookresearch/moco-v3", "vits.py moco/builder.py")
    sources |= {name: peer(name).__version__ for name in ("timm", "torchvision", "transformers")}
    save(record, "image_encoders", sources)


if __name__ == "__main__":
    main()
