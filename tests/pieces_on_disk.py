"""A run's checkpoint as files of two processes, written by hand: the format that docs/records.md words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def checkpoint_of(run: Path, step: int, tensors: Mapping[str, Tensor]) -> Path:
    """The model's `tensors`; those of several rows are cut in two."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    folder.mkdir(parents=True)
    files: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    index = {}
    for name, tensor in tensors.items():
        cut = tensor.shape[0] // 2 if tensor.dim() else 0
        parts = [(0, tensor[:cut]), (cut, tensor[cut:])] if cut else [(0, tensor)]
        pieces = []
        for rank, (start, part) in enumerate(parts):
            files[rank][f"model/{name}"] = part.contiguous()
            offsets = [start, *[0] * (tensor.dim() - 1)] if tensor.dim() else []
            place = {"file": f"rank-{rank:05d}.safetensors", "key": f"model/{name}"}
            pieces.append({**place, "offsets": offsets, "sizes": list(part.shape)})
        dtype = str(tensor.dtype).removeprefix("torch.")
        index[f"model/{name}"] = {"shape": list(tensor.shape), "dtype": dtype, "pieces": pieces}
    for rank, held in enumerate(files):
        save_file(held, folder / f"rank-{rank:05d}.safetensors")
    (folder / "index.json").write_text(json.dumps(index))
    return folder
