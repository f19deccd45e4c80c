"""What some processes wrote, any other number reads, to the bit; and no file is believed that lies."""

from __future__ import annotations

import json
from pathlib import Path

import processes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from resharding import STAGES, Small, everything, made, passes_on, train
from safetensors.torch import load_file, save_file

from sightword.errors import SightwordError
from sightword.training.saving import checkpoint
from sightword.training.saving.manifest import FILE as MANIFEST
from sightword.training.saving.manifest import row_of, write_manifest


def saved_by(out: Path, model: Small, optimizer: torch.optim.AdamW, step: int) -> checkpoint.Saved:
    return checkpoint.Saved(checkpoint.save(out, model, optimizer, {"step": step}, 0), {"step": step})


def sealed(folder: Path) -> None:
    """A manifest that vouches for the files as they are now."""
    files = [file for file in folder.iterdir() if file.name != MANIFEST]
    write_manifest(folder, {file.name: row_of(file) for file in files})


@pytest.mark.slow
def test_one_two_four_and_one_again(tmp_path: Path) -> None:
    """Alone, then pieces in two, copies in four, pieces in four, copies in two, and alone."""
    model, optimizer = made("alone", 1, seed=0)
    train(model, optimizer, range(3))
    before = everything(model, optimizer)
    assert "o conv.weight exp_avg" in before
    assert not any(name.startswith("o late") for name in before), "a late part has no state yet"
    saved_by(tmp_path, model, optimizer, 1)
    processes.start(passes_on, (str(tmp_path),), 4)
    last, complaints = checkpoint.newest(tmp_path)
    assert last is not None
    assert (last.step, complaints) == (len(STAGES) + 1, [])
    fresh, its_optimizer = made("alone", 1, seed=7)
    checkpoint.restore(last, fresh, its_optimizer)
    found = {f"stage{n}": load_file(tmp_path / f"stage{n}.safetensors") for n in range(1, len(STAGES) + 1)}
    for where, tensors in (found | {"alone again": everything(fresh, its_optimizer)}).items():
        assert tensors.keys() == before.keys(), where
        assert all(torch.equal(tensors[name], before[name]) for name in before), where
    for state in its_optimizer.state.values():
        assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
    kernel = fresh.conv.weight
    assert its_optimizer.state[kernel]["exp_avg"].stride() == kernel.stride() != kernel.contiguous().stride()
    for number, (kind, world) in enumerate(STAGES, start=2):
        files = sorted((tmp_path / "checkpoints" / f"step-{number:08d}").glob("rank-*"))
        assert len(files) == world, (kind, "all share the writing")
        sizes = [file.stat().st_size for file in files]
        assert max(sizes) < 0.8 * sum(sizes), kind


def test_what_is_read_is_the_same_and_trains_on_to_the_bit(tmp_path: Path) -> None:
    model, optimizer = made("alone", 1, seed=0)
    train(model, optimizer, range(2))
    saved = saved_by(tmp_path, model, optimizer, 2)
    twin, its_optimizer = made("alone", 1, seed=5)
    train(twin, its_optimizer, range(9))  # state of its own must give way
    checkpoint.restore(saved, twin, its_optimizer)
    for one, its in ((model, optimizer), (twin, its_optimizer)):
        train(one, its, range(2, 5))
    ours, theirs = everything(model, optimizer), everything(twin, its_optimizer)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def whole_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one checkpoint that is whole."""
    out = tmp_path_factory.mktemp("runs")
    model, optimizer = made("alone", 1, seed=0)
    train(model, optimizer, range(1))
    saved_by(out, model, optimizer, 1)
    return out


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["manifest.json", "index.json", "state.json", "rank-00000.safetensors"]),
    where=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
)
def test_every_changed_byte_is_noticed(whole_one: Path, name: str, where: float, change: int) -> None:
    (folder,) = (whole_one / "checkpoints").iterdir()
    file = folder / name
    before = file.read_bytes()
    place = int(where * len(before))
    file.write_bytes(before[:place] + bytes([before[place] ^ change]) + before[place + 1 :])
    try:
        saved, complaints = checkpoint.newest(whole_one)
    finally:
        file.write_bytes(before)
    assert saved is None
    assert len(complaints) == 1
    assert checkpoint.newest(whole_one)[1] == []


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(["manifest.json", "index.json", "state.json", "rank-00000.safetensors"]),
    share=st.floats(0, 1, exclude_max=True),
)
def test_every_lost_end_is_noticed(whole_one: Path, name: str, share: float) -> None:
    (folder,) = (whole_one / "checkpoints").iterdir()
    file = folder / name
    before = file.read_bytes()
    file.write_bytes(before[: int(share * len(before))])
    try:
        assert checkpoint.newest(whole_one)[0] is None
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("other", torch.zeros(7, 3, 3, 3), "cannot be read"),  # the key is missing
        ("model/conv.weight", torch.zeros(7, 3, 3, 2), "in the index"),  # of another shape
        ("model/conv.weight", torch.zeros(7, 3, 3, 3, dtype=torch.float64), "in the index"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, key: str, value: torch.Tensor, says: str
) -> None:
    """The manifest vouches for it, the index does not."""
    model, optimizer = made("alone", 1, seed=0)
    saved = saved_by(tmp_path, model, optimizer, 1)
    file = saved.path / "rank-00000.safetensors"
    tensors = load_file(file)
    del tensors["model/conv.weight"]
    save_file(tensors | {key: value}, file)
    sealed(saved.path)
    with pytest.raises(SightwordError, match=says) as found:
        checkpoint.restore(saved, model, optimizer)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname", "rank-0.safetensors", "notes.txt"])
def test_a_manifest_that_names_other_files_is_not_believed(tmp_path: Path, name: str) -> None:
    model, optimizer = made("alone", 1, seed=0)
    saved = saved_by(tmp_path, model, optimizer, 1)
    manifest = saved.path / MANIFEST
    rows = json.loads(manifest.read_text())
    rows[name] = rows["state.json"]
    manifest.write_text(json.dumps(rows, indent=1, sort_keys=True))
    found, complaints = checkpoint.newest(tmp_path)
    assert found is None
    assert complaints == [f"{saved.path} is not whole (it has no readable manifest) and is passed over"]


def test_optimizer_state_that_fits_no_parameter_is_refused(tmp_path: Path) -> None:
    model, optimizer = made("alone", 1, seed=0)
    train(model, optimizer, range(1))
    optimizer.state[model.scale]["exp_avg"] = torch.zeros(4, 4)
    saved = saved_by(tmp_path, model, optimizer, 1)
    with pytest.raises(SightwordError, match=r"'exp_avg' of \(4, 4\) for 'scale' of \(1,\)"):
        checkpoint.restore(saved, *made("alone", 1, seed=0))
    model.scale.requires_grad_(False)
    with pytest.raises(SightwordError, match="optimizer state of 'scale', which does not train here"):
        checkpoint.restore(saved, model, optimizer)
