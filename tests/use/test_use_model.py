"""Pictures as users have them, through a model that has learned a little."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_shard import picture
from squares import SQUARES

import sightword
from sightword.errors import SightwordError
from sightword.evaluation.features import Encoder
from sightword.training.model import Model, load_model
from sightword.use.model import UsableModel

CAPTIONS = [picture(i)[1] for i in range(SQUARES)]


def files(folder: Path) -> list[Path]:
    paths = [folder / f"{i}.png" for i in range(SQUARES)]
    for i, path in enumerate(paths):
        path.write_bytes(picture(i)[0])
    return paths


def pil(i: int) -> Image.Image:
    return Image.open(io.BytesIO(picture(i)[0]))


def test_what_load_gives_is_what_evaluation_wants(run: Path) -> None:
    model, plain = sightword.load(run), load_model(run)
    assert isinstance(model, UsableModel)
    assert isinstance(model, Model)
    assert isinstance(model, Encoder)
    assert (model.name, model.weights_hash, model.step) == (plain.name, plain.weights_hash, plain.step)
    pixels = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    for project in (False, True):
        assert torch.equal(model.encode_image(pixels, project), plain.encode_image(pixels, project))


def test_every_kind_of_picture_gives_the_same_features(model: UsableModel, run: Path, tmp_path: Path) -> None:
    paths = files(tmp_path)
    arrays = [np.asarray(pil(i)) for i in range(SQUARES)]
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    # By hand: what evaluation does.
    wanted = load_model(run, "cpu").encode_image(model.preparation(arrays), project=True)
    for given in (
        paths,
        [str(path) for path in paths],
        [path.read_bytes() for path in paths],
        [pil(i) for i in range(SQUARES)],
        arrays,
        np.stack(arrays),
        tensors,
        torch.stack(tensors),
    ):
        torch.testing.assert_close(model.encode_image(given, project=True), wanted)
    torch.testing.assert_close(model.encode_image(paths[3], project=True), wanted[3:4])
    torch.testing.assert_close(model.encode_image(pil(3), project=True), wanted[3:4])
    assert model.encode_image([]).shape == (0, 24)


def test_pictures_of_many_sizes_and_modes_go_together(model: UsableModel) -> None:
    gray, wide, clear = Image.new("L", (9, 30), 90), Image.new("RGB", (70, 20)), Image.new("RGBA", (20, 20))
    features = model.encode_image([gray, wide, clear], project=True)
    white = model.encode_image(Image.new("RGB", (20, 20), "white"), project=True)
    torch.testing.assert_close(features[2:], white)  # what is transparent lies on white
    assert features.shape == (3, 16)


def test_more_than_are_prepared_at_once(model: UsableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [pil(i) for i in range(SQUARES)]
    wanted = model.encode_image(pictures)
    monkeypatch.setattr("sightword.use.pictures.AT_ONCE", 5)
    torch.testing.assert_close(model.encode_image(pictures), wanted)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no/such.png", r"cannot read 'no/such\.png': No such file"),
        (b"not a picture", "cannot read picture 0: not a readable picture"),
        (np.zeros((4, 4, 3), dtype=np.float32), r"picture 0: it is an array of float32"),
        (torch.zeros(3, 4, 4), r"tensor of torch\.float32 with the shape \(3, 4, 4\)"),
        (
            torch.zeros(4, 4, 3, dtype=torch.uint8),
            r"tensor of torch\.uint8 with the shape \(4, 4, 3\); wanted",
        ),
        ([picture(0)[0], b""], "picture 1: the file is empty"),
        (Image.new("F", (4, 4)), "floating-point pixels"),
    ],
    ids=["missing", "bytes", "floats", "normalised", "channels", "empty", "mode"],
)
def test_what_cannot_be_read_is_one_clear_line(model: UsableModel, given: object, message: str) -> None:
    with pytest.raises(SightwordError, match=message) as found:
        model.encode_image(given)  # type: ignore[arg-type]
    assert "\n" not in str(found.value)


def test_classes_are_told_apart(model: UsableModel) -> None:
    pictures = [pil(i) for i in range(SQUARES)]
    found = model.classify(pictures, sorted(set(CAPTIONS)))
    assert found.best == CAPTIONS
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(SQUARES))
    assert [row[0][0] for row in found.top(3)] == CAPTIONS
    assert all(len(row) == 3 and row[0][1] >= row[1][1] >= row[2][1] for row in found.top(3))
    assert len(found.top(99)[0]) == len(set(CAPTIONS))


def test_probabilities_are_those_of_the_model_s_own_temperature(model: UsableModel) -> None:
    names, templates = ["red", "blue"], ["a {} square on green", "{c}"]
    images = model.encode_image(pil(0), project=True)
    means = []
    for name in names:
        both = model.encode_text([f"a {name} square on green", name])
        mean = both.mean(dim=0)
        means.append(mean / mean.norm())
    assert model.encoders.joint is not None
    scale = model.encoders.joint.logit_scale.exp().item()
    wanted = (scale * images @ torch.stack(means).T).softmax(dim=1)
    found = model.classify(pil(0), names, templates)
    torch.testing.assert_close(found.probabilities, wanted)
    assert found.classes == ("red", "blue")


@pytest.mark.parametrize(
    ("classes", "templates", "message"),
    [
        ("red", None, r"classes wants a list, found 'red'; write classes=\['red', \.\.\.\]"),
        ([], None, "classes is empty"),
        (["red", "blue", "red"], None, "the class 'red' comes twice"),
        (["red"], "a {}", "templates wants a list"),
        (["red"], [], "templates is empty"),
        (["red"], ["a picture"], "template 'a picture' of the templates given has no place for a name"),
    ],
)
def test_classes_that_make_no_sense(
    model: UsableModel, classes: list[str], templates: list[str] | None, message: str
) -> None:
    with pytest.raises(SightwordError, match=message):
        model.classify(pil(0), classes, templates)


def test_pictures_are_ranked_for_sentences(model: UsableModel) -> None:
    pictures = [pil(i) for i in range(SQUARES)]
    for ranked, caption in zip(model.rank(pictures, CAPTIONS), CAPTIONS, strict=True):
        assert CAPTIONS[ranked.best] == caption
        assert sorted(ranked.order.tolist()) == list(range(SQUARES))
        assert (ranked.scores.diff() <= 0).all()
    one = model.rank(pictures, CAPTIONS[4])
    cosines = model.encode_image(pictures, project=True) @ model.encode_text([CAPTIONS[4]])[0]
    torch.testing.assert_close(one.scores, cosines[one.order])
    assert model.rank([pil(0)] * 3, "a").order.tolist() == [0, 1, 2]


def test_sentences_are_ranked_for_a_picture(model: UsableModel) -> None:
    distinct = sorted(set(CAPTIONS))
    ranked = model.rank_texts(distinct, pil(5))
    assert distinct[ranked.best] == CAPTIONS[5]
    with pytest.raises(SightwordError, match="rank_texts wants several sentences, found one: 'red'"):
        model.rank_texts("red", pil(5))
    with pytest.raises(SightwordError, match="rank_texts wants one picture, found 2"):
        model.rank_texts(distinct, np.stack([np.asarray(pil(i)) for i in range(2)]))


def test_the_example_of_the_docstring_runs(
    model: UsableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines are run as they stand; its answers are of another model."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("pet.jpg", "a.jpg", "b.jpg")):
        pil(i).save(name, quality=95)
    monkeypatch.setattr(sightword, "load", lambda run: model, raising=False)
    lines = [line.strip() for line in (UsableModel.__doc__ or "").splitlines()]
    code = [line.partition("  #")[0] for line in lines if line.startswith("model")]
    assert len(code) == 3
    for line in code:
        exec(line, {"sightword": sightword, "model": model})
