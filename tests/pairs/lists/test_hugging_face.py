"""`saved_to_disk` was written by the `datasets` library, version 5.2: ten of tiny_pictures in two splits."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from tiny_pictures import picture, save
from torch.utils.data import DataLoader

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs

SAVED = Path(__file__).parent / "saved_to_disk"
_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _is_picture(image: bytes, number: int) -> bool:
    """By its pixels: another zlib packs them otherwise."""
    here, there = (Image.open(io.BytesIO(data)) for data in (image, picture(number)))
    return here.size == there.size and here.tobytes() == there.tobytes()


def _is_saved(pairs, numbers) -> bool:
    same = [_is_picture(pairs[i].image, n) for i, n in enumerate(numbers)]
    texts = [pairs.text(i).captions == (f"picture {n}",) for i, n in enumerate(numbers)]
    return len(pairs) == len(numbers) and all(same + texts)


def test_what_the_library_saved_is_read():
    pairs = open_pairs(str(SAVED))
    assert _is_saved(pairs, range(7))
    assert pairs[3].fields == {"label": 1}
    assert pairs.keys[1] == "p1_v1"
    assert pairs.keys[6] == "data-00001-of-00002/0-2"
    assert len(set(pairs.keys)) == 7
    assert "'train' is read" in pairs.notes[0]
    assert _is_saved(open_pairs(str(SAVED), "test"), range(7, 10))
    assert _is_saved(open_pairs(str(SAVED / "test")), range(7, 10))
    with pytest.raises(SightwordError, match="did you mean test"):
        open_pairs(str(SAVED), "tset")


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_read_what_one_process_reads(workers):
    pairs = pickle.loads(pickle.dumps(open_pairs(str(SAVED))))
    loader = DataLoader(pairs, batch_size=3, num_workers=workers, collate_fn=list)
    assert [sample for batch in loader for sample in batch] == [pairs[i] for i in range(7)]


def test_the_names_of_classes_are_captions():
    pairs = open_pairs(str(SAVED), reading=Reading(caption_key="label"))
    assert [text.caption for text in pairs.texts()] == ["cat", "dog"] * 3 + ["cat"]


def _save(folder: Path, name: str, batches: list[pa.RecordBatch]) -> None:
    with pa.ipc.new_stream(str(folder / name), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def test_row_numbers_say_the_order(tmp_path):
    """Older versions kept the numbers of `select` and `shuffle` in a file of their own."""
    shutil.copytree(SAVED / "train", tmp_path / "d")
    state = json.loads((tmp_path / "d/state.json").read_text())
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (tmp_path / "d/state.json").write_text(json.dumps(state))
    numbers = [6, 0, 4, 4, 1]
    batches = [
        pa.record_batch([pa.array(part, pa.uint64())], ["indices"]) for part in (numbers[:2], numbers[2:])
    ]
    _save(tmp_path / "d", "indices.arrow", batches)
    assert _is_saved(open_pairs(f"{tmp_path}/d"), numbers)
    _save(tmp_path / "d", "indices.arrow", [pa.record_batch([pa.array([0, 7], pa.uint64())], ["indices"])])
    with pytest.raises(SightwordError, match="cannot be read"):
        open_pairs(f"{tmp_path}/d")


def test_pictures_by_their_paths(tmp_path):
    values = [{"bytes": None, "path": str(save(tmp_path / f"{i}.png", i))} for i in range(3)]
    values[1]["path"] = "1.png"  # from --image-root
    folder = tmp_path / "d"
    folder.mkdir()
    columns = [pa.array(values, _STRUCT), pa.array(["a", "b", "c"])]
    _save(folder, "data.arrow", [pa.record_batch(columns, ["image", "text"])])
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    pairs = open_pairs(str(folder), reading=Reading(image_root=str(tmp_path)))
    assert [pairs[i].image for i in range(3)] == [picture(i) for i in range(3)]
    assert list(pairs.keys) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: (d / "data-00001-of-00002.arrow").unlink(), "is missing"),
        (lambda d: (d / "data-00001-of-00002.arrow").write_bytes(b"nonsense"), "no whole Arrow file"),
        (lambda d: (d / "state.json").write_text("{"), "not what save_to_disk writes"),
        (lambda d: (d / "state.json").write_text("[]"), "not what save_to_disk writes"),
        (lambda d: (d / "state.json").write_text('{"_data_files": [3]}'), "not what save_to_disk writes"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, change, said):
    shutil.copytree(SAVED / "train", tmp_path / "d")
    change(tmp_path / "d")
    with pytest.raises(SightwordError, match=said):
        open_pairs(f"{tmp_path}/d")


def test_the_hash_is_the_same_elsewhere(tmp_path):
    shutil.copytree(SAVED, tmp_path / "d")
    assert open_pairs(f"{tmp_path}/d").data_hash == open_pairs(str(SAVED)).data_hash
    assert open_pairs(f"{tmp_path}/d", "test").data_hash != open_pairs(str(SAVED)).data_hash
