"""ONNX, in processes of their own: torch's exporter and the checks of shapes that tests make do not agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models_to_export import model_of, run_of, siglip_of
from tiny_runs import RESNET, TEXT, VIT

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.export.exporting import export_model
from sightword.export.onnx_files import Onnx

CAUSAL = replace(TEXT, attention="causal", pool="eot")
RN = ImageTowerConfig(
    kind="modified-resnet", size=32, width=4, layers=(1, 1, 1, 1), heads=2, patch_size=32, pool="attention"
)
KINDS: dict[str, tuple[ImageTowerConfig, TextTowerConfig | None]] = {
    "vit": (VIT, CAUSAL),
    "attention, both ways": (
        replace(VIT, pool="attention"),
        replace(TEXT, attention="bidirectional", pool="class"),
    ),
    "resnet, bag of words": (RESNET, replace(TEXT, layers=0, attention="bidirectional", pool="mean")),
    "openai's resnet, all places": (RN, replace(TEXT, attention="padding-too", pool="last")),
    "pictures alone": (replace(VIT, pool="gap", positions="sincos", pre_norm=True), None),
}


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.mark.slow
def test_every_kind_of_tower_as_onnx_runtime_computes_it(tmp_path: Path) -> None:
    """One process for all: what torch's exporter imports takes seconds."""
    models = {name: model_of(image, text) for name, (image, text) in KINDS.items()}
    models["siglip"] = siglip_of()
    for name, model in models.items():
        run_of(tmp_path / name, model)
    program = (
        "import sys; from pathlib import Path; from sightword.export.exporting import export\n"
        "for run in sorted(Path(sys.argv[1]).iterdir()): export(run, 'onnx')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, model in models.items():
        text = model.has_text
        out = tmp_path / name / "export" / "onnx"
        record = json.loads((out / "export.json").read_text())
        assert record["loaded_by"].startswith("ONNX Runtime"), name
        assert [row["what"] for row in record["agreement"]] == (
            ["pictures", "sentences"] if text else ["pictures"]
        )
        assert max(row["max_abs"] / row["limit"] for row in record["agreement"]) <= 1, name
        assert (out / "text_encoder.onnx").exists() == text
        said = (out / "README.md").read_text()
        assert "| image_encoder.onnx | `pixel_values`, float32, (batch, 3, " in said
        assert (f"`input_ids`, int64, (batch, {model.tokenizer.context})" in said) == text


def test_what_torch_cannot_write_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("exporter") from ValueError("no operator\nfor this")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(SightwordError, match=r"as ONNX \(no operator for this\); nothing was written"):
        export_model(model_of(), Onnx(), tmp_path / "out", tmp_path)
    assert list(tmp_path.iterdir()) == []
