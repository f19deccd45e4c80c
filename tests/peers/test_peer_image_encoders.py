"""Image encoders of timm, torchvision, transformers, MAE and MoCo v3 by our names: the answers that theirs
gave (see record_image_encoders.py), and their own tensors back.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from formula import filled
from image_encoders import CASES, LIKE, MAE, MOCO
from replaying import Tensors, sources
from safetensors import safe_open
from towers_of import loaded, towers

from sightword.weights import hf_vit, mae, mocov3, timm_resnet, timm_vit
from sightword.weights.families import recognised
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read

TABLES = {"timm": timm_vit, "MAE": mae, "MoCo v3": mocov3, "Hugging Face's ViT": hf_vit}
LEFT = ("head.", "fc.", "classifier.", "pooler.", "decoder_", "mask_token")


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


def recorded(case: str) -> tuple[Read, Tensors]:
    """A recording as if it had been read from files, and the pictures with their features."""
    told = sources("image_encoders")
    tensors = filled(json.loads(told[f"shapes {case}"]))
    with safe_open(Path(__file__).with_name("image_encoders.safetensors"), "pt") as file:
        for name in file.keys():  # noqa: SIM118 (no mapping)
            if name.startswith(f"{case}/kept/"):
                tensors[name.removeprefix(f"{case}/kept/")] = file.get_tensor(name)
        each = int(file.get_tensor(f"{case}/size")) // 4
        images = file.get_tensor(f"{case}/squares").repeat_interleave(each, 2).repeat_interleave(each, 3)
        found = {"images": images, "features": file.get_tensor(f"{case}/features")}
    like = LIKE if case in MAE else None  # the others tell their heads
    return Read(case, tensors, json.loads(told[f"config {case}"]), like=like), found


def share(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference as a share of the largest number."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("case", CASES)
def test_features(case: str) -> None:
    theirs, answers = recorded(case)
    foreign = recognised(theirs)
    assert not foreign.has_text
    found, expected = loaded(foreign).image(answers["images"]), answers["features"]
    assert found.shape == expected.shape
    turned = 1 - float(torch.cosine_similarity(found.double(), expected.double()).min())
    assert expected.std(0).max() > 1e-2, "rows that are all alike prove nothing"
    print(f"{case}: {share(found, expected):.0e}, {turned:.0e}")
    assert share(found, expected) < 1e-5
    assert turned < 1e-5


def own_names(case: str, theirs: Read) -> Tensors:
    """What they hold of the encoder, by the names that a table has."""
    prefix = "base_encoder." if case in MOCO else "vit." if case == "hf-vit-classes" else ""
    kept = {n.removeprefix(prefix): t for n, t in theirs.tensors.items() if n.startswith(prefix)}
    return {name: tensor for name, tensor in kept.items() if not name.startswith(LEFT)}


@pytest.mark.parametrize("case", CASES)
def test_their_tensors_come_back(case: str) -> None:
    """But for the position of a class token, which timm need not give it."""
    theirs, _ = recorded(case)
    foreign = recognised(theirs)
    room = timm_resnet if foreign.model.image.kind == "standard-resnet" else TABLES[foreign.family]
    own, back = own_names(case, theirs), room.table(foreign.model).outward(foreign.tensors)
    back = {name: tensor for name, tensor in back.items() if not name.endswith("num_batches_tracked")}
    assert back.keys() == own.keys()
    for name, tensor in back.items():
        if case == "timm-vit-max" and name == "pos_embed":
            assert not tensor[:, 0].any()
            tensor = tensor[:, 1:]
        assert torch.equal(tensor, own[name]), name


WRONG: list[dict[str, object]] = [{"heads": 4}, {"activation": "quick_gelu"}, {"eps": 1e-2}]


@pytest.mark.parametrize("change", [*WRONG, {"std": (0.4,) * 3}])
def test_what_is_compared_feels_every_setting(change: dict[str, object]) -> None:
    """Were one of them read wrongly, the features above would be others."""
    theirs, answers = recorded("timm-vit")
    foreign: Foreign = recognised(theirs)
    image = replace(foreign.model.image, **change)  # type: ignore[arg-type]
    made = towers(replace(foreign.model, image=image), None)
    made.modules.load_state_dict(dict(foreign.tensors))
    assert share(made.image(answers["images"]), answers["features"]) > 1e-3
