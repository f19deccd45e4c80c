from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from models_to_export import loaded, model_of, run_of
from safetensors.torch import load_file, save_file

from sightword.cli import main
from sightword.errors import SightwordError
from sightword.export.agreement import LIMIT
from sightword.export.exporting import RECORD, export, export_model
from sightword.export.own_folder import OwnFolder
from sightword.export.target import Loaded, UnloadableError
from sightword.export.targets import find
from sightword.training.model import Model


class Torn(OwnFolder):
    """Writes other weights than the model's."""

    name = "torn"

    def write(self, model: Model, folder: Path) -> None:
        super().write(model, folder)
        tensors = load_file(folder / "model.safetensors")
        tensors["joint.image.weight"] = tensors["joint.image.weight"] + 1e-3
        save_file(tensors, folder / "model.safetensors")


class Foreign(OwnFolder):
    """Its library is not here."""

    name = "foreign"

    def refuses(self, model: Model) -> str:
        return "" if model.has_text else "it wants captions"

    def loaded(self, model: Model, folder: Path) -> Loaded:
        raise UnloadableError("no such library (it was never written)")


class Breaking(OwnFolder):
    """Its library is here and cannot take the folder."""

    name = "breaking"

    def loaded(self, model: Model, folder: Path) -> Loaded:
        raise ValueError("no such\nkey")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_of(tmp_path / "run")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_is_the_model_and_says_so(run: Path) -> None:
    done = export(run, "safetensors", licence="apache-2.0")
    assert done.out == run / "export" / "safetensors"
    assert left(done.out.parent) == ["safetensors"]
    ours, theirs = loaded(run), loaded(done.out)
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(ours.encode_image(images, project=True), theirs.encode_image(images, project=True))
    assert torch.equal(ours.encode_text(["a red bus"]), theirs.encode_text(["a red bus"]))
    assert (theirs.step, theirs.samples, theirs.flops) == (7, 56, 1e9)
    record = json.loads((done.out / RECORD).read_text())
    assert record["weights_hash"] == ours.weights_hash == theirs.weights_hash
    assert record["licence"] == "apache-2.0"
    assert [(row["what"], row["max_abs"], row["limit"]) for row in record["agreement"]] == [
        ("pictures", 0.0, LIMIT), ("sentences", 0.0, LIMIT),
    ]  # fmt: skip
    assert set(record["files"]) == set(left(done.out)) - {RECORD}


def test_a_model_of_pictures_alone(tmp_path: Path) -> None:
    model = model_of(text=None)
    done = export(run_of(tmp_path / "run", model), "safetensors", tmp_path / "out")
    assert [one.what for one in done.agreement] == ["pictures"]
    assert "image-feature-extraction" in (tmp_path / "out" / "README.md").read_text()


def test_weights_from_elsewhere_become_another_form(tmp_path: Path) -> None:
    """Ours as timm's, and timm's as our own folder again."""
    model = model_of(text=None)
    place = export_model(model, find("timm"), tmp_path / "timm", tmp_path).out
    done = export(place, "safetensors", tmp_path / "own")
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    again = loaded(done.out)
    torch.testing.assert_close(again.encode_image(images), model.encode_image(images), atol=1e-5, rtol=0)
    assert "these weights come from elsewhere (timm)" in (done.out / "README.md").read_text()


def test_what_is_not_the_model_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match=r"features differ, 13 pictures: max-abs .*nothing was written"):
        export_model(model_of(), Torn(), tmp_path / "out", tmp_path)
    assert left(tmp_path) == []


def test_what_is_not_the_model_does_not_replace_what_is(run: Path, tmp_path: Path) -> None:
    out = export(run, "safetensors", tmp_path / "out").out
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SightwordError, match="is not the model"):
        export_model(model_of(), Torn(), out, tmp_path)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert left(tmp_path) == ["out", "run"]


def test_without_its_library_the_folder_is_read_back_and_that_is_told(tmp_path: Path) -> None:
    done = export_model(model_of(), Foreign(), tmp_path / "out", tmp_path)
    said = list(done.lines())
    assert "note: no such library (it was never written); sightword" in said[2]
    assert (
        json.loads((done.out / RECORD).read_text())["unchecked"] == "no such library (it was never written)"
    )
    assert "note: no such library" in (done.out / "README.md").read_text()


def test_a_library_that_cannot_take_the_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match=r"cannot be loaded by its library \(no such key\); nothing was"):
        export_model(model_of(), Breaking(), tmp_path / "out", tmp_path)
    assert left(tmp_path) == []


def test_a_form_that_cannot_hold_the_model_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match=r"to foreign: it wants captions; use --to .*safetensors"):
        export_model(model_of(text=None), Foreign(), tmp_path / "out", tmp_path)
    assert left(tmp_path) == []


def test_an_earlier_export_is_replaced_and_nothing_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(SightwordError, match="holds something else than an export; give another --out"):
        export(run, "safetensors", out)
    assert left(out) == ["mine.txt"]
    (out / "mine.txt").unlink()
    first = export(run, "safetensors", out).out / RECORD
    time = json.loads(first.read_text())["time"]
    (out / "stray.txt").write_text("of the earlier one")
    assert json.loads((export(run, "safetensors", out).out / RECORD).read_text())["time"] > time
    assert "stray.txt" not in left(out)
    assert left(tmp_path) == ["out", "run"]


def test_places_where_nothing_can_be_written(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SightwordError, match="is a file; give a folder"):
        export(run, "safetensors", tmp_path / "file")
    with pytest.raises(SightwordError, match=r"cannot write to .*; give another --out"):
        export(run, "safetensors", tmp_path / "file" / "below")


def test_a_full_disk_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Callable[[], None]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sightword.export.card.write", full)
    with pytest.raises(SightwordError, match="No space left on device; free some space, then export again"):
        export(run, "safetensors", tmp_path / "out")
    assert left(tmp_path) == ["run"]


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(run), "--to", "safetensors", "--out", str(tmp_path / "o"), "--license", "mit"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("13 pictures: max-abs 0.0e+00, cosine 1.0000000 (limit 1.0e-05), loaded by")
    assert said[-1] == str(tmp_path / "o")
    with pytest.raises(SystemExit) as end:
        main(["export", str(run), "--to", "onyx"])
    assert end.value.code == 2
    assert "unknown form of export 'onyx'; did you mean onnx?" in capsys.readouterr().err
