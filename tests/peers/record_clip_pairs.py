"""Run CLIP models of open_clip, transformers and SLIP once and store what they answer.

    PYTHONPATH=PEERS python tests/peers/record_clip_pairs.py SLIP

with a checkout of facebookresearch/SLIP, and open_clip, transformers and timm in the folder PEERS. For
test_peer_clip_pairs.py. Nothing of theirs is kept but numbers, of embeddings only the rows of words in use.
SLIP's batch norms synchronise GPUs, which is taken from it.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from unittest import mock

import torch
from clip_pairs import CONTEXT, OPEN_CLIP, Answers, hf_answers, open_clip_answers, slip_answers, words_of
from recording import Record, load, named, origin, save
from torch import nn
from torchvision_schemas import load_torchvision
from towers_of import TEXTS

from sightword.pairs.words.tokenizer import ClipTokenizer


def kept(case: str, answers: Answers, rows: torch.Tensor) -> Record:
    """All tensors, but of the words only those in use."""
    tensors = dict(answers.tensors)
    tensors[words_of(case)] = tensors[words_of(case)][rows]
    halves = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    assert all(torch.equal(halves[name].to(one.dtype), one) for name, one in tensors.items())
    record = named(f"{case}/weight", halves) | {f"{case}/images": answers.images}
    return record | {f"{case}/image": answers.image, f"{case}/text": answers.text}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slip", type=Path)
    root = parser.parse_args().slip
    load_torchvision()
    open_clip, transformers, timm = map(importlib.import_module, ("open_clip", "transformers", "timm"))
    importlib.import_module("timm.models.registry")  # which SLIP takes for imported
    models, tokenizer = load(root / "models.py", root), load(root / "tokenizer.py", root)
    torch.manual_seed(0)
    ids = ClipTokenizer(CONTEXT)(TEXTS).ids
    found = {case: open_clip_answers(case, open_clip) for case in OPEN_CLIP}
    found["hf"] = hf_answers(transformers, ids)
    own = tokenizer.SimpleTokenizer(root / "bpe_simple_vocab_16e6.txt.gz")
    with mock.patch.object(nn, "SyncBatchNorm", nn.BatchNorm1d):
        found["slip"] = slip_answers(models, timm, lambda texts: own(texts, CONTEXT))
    rows = ids.unique()
    record: Record = {"rows": rows}
    for case, answers in found.items():
        record |= kept(case, answers, rows)
    sources = {f"config {case}": json.dumps(answers.config) for case, answers in found.items()}
    sources |= {"slip": origin(root, "facebookresearch/SLIP", "models.py tokenizer.py")}
    sources |= {one.__name__: one.__version__ for one in (open_clip, transformers, timm)}
    save(record, "clip_pairs", sources)


if __name__ == "__main__":
    main()
