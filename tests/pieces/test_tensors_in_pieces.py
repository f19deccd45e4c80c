"""Tensors are put together from their pieces, and no index is believed that lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pieces_on_disk import checkpoint_of
from safetensors.torch import save_file

from sightword.errors import SightwordError
from sightword.pieces.index import FILE, Entry, Piece, read_index, to_json
from sightword.pieces.reading import newest_model, read_whole


def test_the_newest_model_of_a_run(tmp_path: Path) -> None:
    model = {"weight": torch.randn(7, 3, 2), "steps": torch.tensor(5), "flags": torch.tensor([True, False])}
    checkpoint_of(tmp_path, 5, {name: torch.zeros_like(tensor) for name, tensor in model.items()})
    checkpoint_of(tmp_path, 10, model)
    found = newest_model(tmp_path)
    assert found.keys() == model.keys()
    assert all(found[name].dtype == t.dtype and torch.equal(found[name], t) for name, t in model.items())


def test_one_tensor_of_several_pieces_is_put_together(tmp_path: Path) -> None:
    """Pieces of a matrix cut along both dimensions, in two files, found by numpy-like slicing alone."""
    matrix = torch.arange(35.0).view(5, 7)
    boxes = {"rank-00000.safetensors": [(0, 0, 3, 7)], "rank-00001.safetensors": [(3, 0, 2, 4), (3, 4, 2, 3)]}
    pieces = []
    for file, own in boxes.items():
        held = {str(i): matrix[r : r + h, c : c + w].contiguous() for i, (r, c, h, w) in enumerate(own)}
        save_file(held, tmp_path / file)
        pieces += [Piece(file, str(i), (r, c), (h, w)) for i, (r, c, h, w) in enumerate(own)]
    index = {"matrix": Entry((5, 7), torch.float32, tuple(pieces))}
    (tmp_path / FILE).write_text(to_json(index))
    assert read_index(tmp_path) == index
    assert torch.equal(read_whole(tmp_path, index)["matrix"], matrix)


PIECE = {"file": "rank-00000.safetensors", "key": "w", "offsets": [0, 0], "sizes": [4, 2]}
ENTRY = {"shape": [4, 2], "dtype": "float32", "pieces": [PIECE]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pieces": [{**PIECE, "file": "../../secrets.safetensors"}]}, "no file of a checkpoint"),
        ({"pieces": [{**PIECE, "file": "/etc/passwd"}]}, "no file of a checkpoint"),
        ({"pieces": [{**PIECE, "file": "rank-00000.safetensors/../x"}]}, "no file of a checkpoint"),
        ({"pieces": [{**PIECE, "file": 7}]}, "no file of a checkpoint"),
        ({"pieces": [{**PIECE, "key": ["w"]}]}, "has the key"),
        ({"pieces": [{"file": "rank-00000.safetensors"}]}, "has no file, key, offsets and sizes"),
        ({"pieces": [{**PIECE, "sizes": [4, -2]}]}, "has the sizes"),
        ({"pieces": [{**PIECE, "sizes": [4, 1]}]}, "do not make up its shape"),
        ({"pieces": [{**PIECE, "sizes": [4]}]}, "has not the dimensions"),
        ({"pieces": [{**PIECE, "offsets": [1, 0]}]}, "do not make up its shape"),
        ({"pieces": [PIECE, PIECE]}, "do not make up its shape"),
        ({"pieces": []}, "do not make up its shape"),
        ({"pieces": "rank-00000"}, "are no list"),
        ({"shape": [4, 2.0]}, "has the sizes"),
        ({"shape": [True, 2]}, "has the sizes"),
        ({"shape": [10**30, 10**30]}, "has the sizes"),
        ({"shape": [10**9, 10**9]}, "do not make up its shape"),
        ({"dtype": "object"}, "is of dtype 'object'"),
        ({"dtype": "load"}, "is of dtype 'load'"),
        ({"more": 1}, "has no shape, dtype and pieces"),
    ],
)
def test_an_index_that_lies_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    (tmp_path / FILE).write_text(json.dumps({"w": ENTRY}))
    assert read_index(tmp_path)["w"].shape == (4, 2)
    (tmp_path / FILE).write_text(json.dumps({"w": {**ENTRY, **changes}}))
    with pytest.raises(SightwordError, match=says) as found:
        read_index(tmp_path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["", "[]", "7", '{"w": 1}', '{"w": null}', "[" * 100_000, '{"w": [[]]}'])
def test_what_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SightwordError, match="is no index of a checkpoint") as found:
        read_index(tmp_path)
    assert "\n" not in str(found.value)
