"""Run SigLIP models of open_clip and transformers once and store what they answer.

    PYTHONPATH=PEERS python tests/peers/record_siglip_pairs.py

with open_clip, timm, transformers and sentencepiece in the folder PEERS. For test_peer_siglip_pairs.py. Their
weights are given by a formula (see formula.py), so that only names, shapes, a small vocabulary and answers
are kept.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import siglip_pairs
from formula import shapes_of
from recording import Record, save
from torchvision_schemas import load_torchvision


def main() -> None:
    load_torchvision()
    peer, record, sources = importlib.import_module, Record(), dict[str, str]()
    with TemporaryDirectory() as folder:
        siglip_pairs.make_words(Path(folder), peer)
        sources["tokenizer.json"] = (Path(folder) / "tokenizer.json").read_text(encoding="utf-8")
        for case, ask in (("hf", siglip_pairs.hugging_face), ("open_clip", siglip_pairs.open_clip)):
            found = ask(Path(folder), peer)
            answers = {"images": found.images, "image": found.image, "text": found.text, "ids": found.ids}
            record |= {f"{case}/{name}": tensor for name, tensor in answers.items()}
            sources[f"shapes {case}"] = json.dumps(shapes_of(found.tensors))
            sources[f"config {case}"] = json.dumps(found.config)
    names = ("open_clip", "timm", "transformers", "sentencepiece")
    save(record, "siglip_pairs", sources | {name: peer(name).__version__ for name in names})


if __name__ == "__main__":
    main()
