from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_sets import COLOURS, ColourModel, square, write_tar

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import LabelledSet, open_benchmark
from sightword.evaluation.features import FeatureStore, extract, read_features, transform
from sightword.views.decode import decode
from sightword.views.evaluation import Preparation, centre, squashed


@pytest.fixture
def test_set(folder: Path) -> LabelledSet:
    return open_benchmark(str(folder)).tests[0]


def test_features_are_the_models_answers_in_order(
    model: ColourModel, test_set: LabelledSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightword.evaluation.features.BATCH", 7)  # the last batch is a part of one
    found = extract(model, test_set, "pooled")
    alone = [
        model.encode_image(centre([decode(test_set.read(i), key)], 8)) for i, key in enumerate(test_set.keys)
    ]
    np.testing.assert_allclose(found.values["pooled"], torch.cat(alone).numpy(), atol=1e-6)
    assert found.rows.tolist() == list(range(36))
    assert found.bad == ()


def test_features_are_extracted_once(model: ColourModel, test_set: LabelledSet, tmp_path: Path) -> None:
    store = FeatureStore(model, tmp_path / "features")
    first = store.of(test_set, "pooled")
    assert store.of(test_set, "pooled") is first
    assert model.seen == 36
    again = FeatureStore(model, tmp_path / "features").of(test_set, "pooled")
    assert model.seen == 36
    np.testing.assert_array_equal(first.values["pooled"], again.values["pooled"])


def test_both_kinds_share_a_file(model: ColourModel, test_set: LabelledSet, tmp_path: Path) -> None:
    store = FeatureStore(model, tmp_path)
    store.of(test_set, "pooled")
    store.of(test_set, "projected")
    tensors, about = read_features(tmp_path / "colours-test.safetensors")
    assert tensors["pooled"].shape == (36, 12)
    assert tensors["projected"].shape == (36, 3)
    assert json.loads(about["keys"]) == list(test_set.keys)
    assert [json.loads(about["labels"])[i] for i in tensors["label"]] == [
        k.split("/")[0] for k in test_set.keys
    ]


def test_other_weights_or_data_are_not_taken_for_these(
    model: ColourModel, test_set: LabelledSet, folder: Path, tmp_path: Path
) -> None:
    FeatureStore(model, tmp_path).of(test_set, "pooled")
    other = ColourModel(weights_hash="w1")
    FeatureStore(other, tmp_path).of(test_set, "pooled")
    assert other.seen == 36
    larger = ColourModel(weights_hash="w1", image_size=10)
    FeatureStore(larger, tmp_path).of(test_set, "pooled")
    assert larger.seen == 36
    (folder / "test" / "red" / "0.png").write_bytes(square("red", 77))
    changed = open_benchmark(str(folder)).tests[0]
    FeatureStore(larger, tmp_path).of(changed, "pooled")
    assert larger.seen == 72


def test_a_torn_cache_is_made_again(model: ColourModel, test_set: LabelledSet, tmp_path: Path) -> None:
    FeatureStore(model, tmp_path).of(test_set, "pooled")
    file = tmp_path / "colours-test.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(SightwordError, match="not a whole file"):
        read_features(file)
    FeatureStore(model, tmp_path).of(test_set, "pooled")
    assert read_features(file)[0]["pooled"].shape == (36, 12)


def test_unreadable_pictures_are_left_out(model: ColourModel, folder: Path, tmp_path: Path) -> None:
    broken = folder / "test" / "green" / "2.png"
    broken.write_bytes(b"no picture")
    labelled = open_benchmark(str(folder)).tests[0]
    position = labelled.keys.index("green/2.png")
    store = FeatureStore(model, tmp_path)
    found = store.of(labelled, "projected")
    assert [key for key, _ in found.bad] == ["green/2.png"]
    assert found.rows.tolist() == [i for i in range(36) if i != position]
    assert FeatureStore(model, tmp_path).of(labelled, "projected").bad == found.bad


def test_nothing_readable_is_an_error(model: ColourModel, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [(c, {"png": b"?", "txt": b"x"}) for c in COLOURS])
    with pytest.raises(SightwordError, match="no picture of x/test can be read"):
        extract(model, open_benchmark(str(path)).tests[0], "pooled")


def test_a_broken_model_is_an_error(test_set: LabelledSet) -> None:
    model = ColourModel(blur=float("nan"))
    with pytest.raises(SightwordError, match="NaN"):
        extract(model, test_set, "projected")


class Squashing(ColourModel):
    """Wants whole pictures as squares."""

    preparation = Preparation(8, "bicubic", "squash")


def test_pictures_are_prepared_as_the_model_wants_them(test_set: LabelledSet, tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    one = dataclasses.replace(test_set, keys=("wide",), read=lambda i: wide, classes=None)
    plain, other = ColourModel(), Squashing()
    usual = extract(plain, one, "pooled").values["pooled"]
    whole = extract(other, one, "pooled").values["pooled"]
    np.testing.assert_array_equal(whole, other.encode_image(squashed([wide], 8, "bicubic")).numpy())
    assert not np.allclose(usual, whole)
    assert transform(plain, 9) == {"resize": 9, "crop": 8, "interpolation": "bilinear, antialiased"}
    assert transform(other, 9) == {"squash": 8, "interpolation": "bicubic, antialiased"}


def test_features_of_another_preparation_are_not_taken_for_these(
    test_set: LabelledSet, tmp_path: Path
) -> None:
    FeatureStore(ColourModel(), tmp_path).of(test_set, "pooled")
    other = Squashing()
    store = FeatureStore(other, tmp_path)
    first = store.of(test_set, "pooled")
    assert other.seen == 36
    assert store.of(test_set, "pooled", 9) is first, "what is squashed has no shorter side"
