"""Weights as others save them: every way in which the same tensors lie in files."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.weights.reading import Read, read


def state(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "visual.conv1.weight": torch.randn(4, 3, 2, 2, generator=generator),
        "token_embedding.weight": torch.randn(6, 4, generator=generator),
        "visual.bn.num_batches_tracked": torch.tensor(7),
        "logit_scale": torch.tensor(2.5),
    }


def assert_holds(found: Read, wanted: dict[str, Tensor]) -> None:
    assert found.tensors.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found.tensors[name], tensor), name
        assert found.tensors[name].dtype == tensor.dtype


def test_safetensors(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors", {"format": "pt"})
    (tmp_path / "w.safetensors").rename(tmp_path / "a1b2c3")  # as a cache names it
    found = read(tmp_path / "a1b2c3")
    assert_holds(found, state())
    assert found.about == {"format": "pt"}
    assert found.beside == tmp_path


@pytest.mark.parametrize("new", [True, False], ids=["since 1.6", "before 1.6"])
def test_a_state_dict_of_torch(tmp_path: Path, new: bool) -> None:
    torch.save(state(), tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    assert_holds(read(tmp_path / "w.pth"), state())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_floats_of_other_widths_become_float32(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    given = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state().items()}
    file = tmp_path / f"w.{suffix}"
    save_file(given, file) if suffix == "safetensors" else torch.save(given, file)
    assert_holds(read(file), {n: t.float() if t.is_floating_point() else t for n, t in given.items()})


def test_a_training_checkpoint_with_argparse_s_settings(tmp_path: Path) -> None:
    """As SLIP's released ones: parallel modules, an optimizer, and settings."""
    settings = Namespace(model="SLIP_VITS16", ssl_scale=1.0, betas=[0.9, 0.98], resume=None, odd=state())
    whole = {
        "epoch": 25,
        "state_dict": {f"module.{name}": tensor for name, tensor in state().items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 3e-3}]},
        "best_acc1": 38.3,
        "args": settings,
    }
    torch.save(whole, tmp_path / "slip.pt")
    found = read(tmp_path / "slip.pt")
    assert_holds(found, state())
    assert (found.about["epoch"], found.about["best_acc1"]) == (25, 38.3)
    assert found.about["args"] == {
        "model": "SLIP_VITS16", "ssl_scale": 1.0, "betas": [0.9, 0.98], "resume": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrap", "note"),
    [
        (lambda s: {"model": s, "model_ema": s}, "average over training (model_ema) lies beside"),
        (lambda s: {"state_dict_ema": s, "arch": "vit"}, "weights are an average over training"),
        (lambda s: {"model": {"state_dict": {f"_orig_mod.module.{n}": t for n, t in s.items()}}}, ""),
    ],
    ids=["average beside", "average alone", "twice wrapped and compiled"],
)
def test_wrappings(tmp_path: Path, wrap: Any, note: str) -> None:
    torch.save(wrap(state()), tmp_path / "w.pt")
    found = read(tmp_path / "w.pt")
    assert_holds(found, state())
    assert note in " ".join(found.notes)
    assert bool(found.notes) == bool(note)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.sizes = [1, 2, 3]
        self.register_buffer("mask", torch.ones(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) + self.sizes[0]


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Inner(), Inner())
        self.proj = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x) @ self.proj


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_without_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenAI's released models: half precision, saved by torch.jit."""
    model = torch.jit.script(Outer().half())
    wanted = {n: t.float() if t.is_floating_point() else t for n, t in model.state_dict().items()}
    torch.jit.save(model, str(tmp_path / "clip.pt"))
    monkeypatch.setattr(torch.jit, "load", None)
    assert_holds(read(tmp_path / "clip.pt"), wanted)
    assert len(wanted) == 13


def test_tied_weights_stay_one_tensor(tmp_path: Path) -> None:
    tied = torch.randn(5, 4)
    torch.save({"embed": tied, "head": tied, "other": torch.randn(5, 4)}, tmp_path / "w.pt")
    found = read(tmp_path / "w.pt").tensors
    assert found["embed"] is found["head"]
    assert not torch.equal(found["embed"], found["other"])


@pytest.mark.parametrize(
    ("weights", "config"),
    [
        ("model.safetensors", "config.json"),
        ("pytorch_model.bin", "config.json"),
        ("open_clip_model.safetensors", "open_clip_config.json"),
        ("open_clip_pytorch_model.bin", "open_clip_config.json"),
    ],
)
def test_folders_as_published(tmp_path: Path, weights: str, config: str) -> None:
    save = save_file if weights.endswith("safetensors") else torch.save
    save(state(), tmp_path / weights)
    (tmp_path / config).write_text('{"heads": 6}')
    for place in (tmp_path, tmp_path / weights):
        found = read(place)
        assert_holds(found, state())
        assert found.config == {"heads": 6}
        assert (found.beside, found.where) == (tmp_path, str(place))


def test_another_file_of_a_folder_is_not_described_by_its_json(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "other.safetensors")
    (tmp_path / "config.json").write_text('{"heads": 6}')
    assert read(tmp_path / "other.safetensors").config == {}
    with pytest.raises(SightwordError, match=r"give one of its files instead: other\.safetensors"):
        read(tmp_path)


def sharded(folder: Path, suffix: str = "safetensors") -> Path:
    """Two shards, and the index that names them."""
    names, base = list(state()), "model" if suffix == "safetensors" else "pytorch_model"
    named = {name: f"{base}-{1 + i % 2:05}-of-00002.{suffix}" for i, name in enumerate(names)}
    save = save_file if suffix == "safetensors" else torch.save
    for shard in set(named.values()):
        save({n: t for n, t in state().items() if named[n] == shard}, folder / shard)
    index = folder / f"{base}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": named}))
    return index


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards(tmp_path: Path, suffix: str) -> None:
    index = sharded(tmp_path, suffix)
    (tmp_path / "config.json").write_text('{"heads": 6}')
    for place in (tmp_path, index):
        found = read(place)
        assert_holds(found, state())
        assert found.config == {"heads": 6}


def test_a_cache_s_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    save_file(state(), tmp_path / "blobs" / "a1b2")
    (tmp_path / "snapshot" / "model.safetensors").symlink_to("../blobs/a1b2")
    assert_holds(read(tmp_path / "snapshot"), state())


def test_a_checkpoint_of_an_open_clip_run_knows_its_settings(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    torch.save({"epoch": 1, "state_dict": state()}, tmp_path / "checkpoints" / "epoch_1.pt")
    (tmp_path / "params.txt").write_text("force_quick_gelu: False\nmodel: ViT-B-32-quickgelu\nlogs: ./a:b\n")
    about = read(tmp_path / "checkpoints" / "epoch_1.pt").about
    assert about["params"] == {
        "force_quick_gelu": "False", "model": "ViT-B-32-quickgelu", "logs": "./a:b"
    }  # fmt: skip


def test_numbers_that_are_none_are_told(tmp_path: Path) -> None:
    given = state()
    given["logit_scale"] = torch.tensor(float("nan"))
    given["token_embedding.weight"][0, 0] = float("inf")
    save_file(given, tmp_path / "w.safetensors")
    (note,) = read(tmp_path / "w.safetensors").notes
    assert note.startswith(("logit_scale and 1 other tensor", "token_embedding.weight and 1 other tensor"))
