"""Our views against those of torchvision and PIL: what chance decides, each operation, finished views.

Against what `record_views.py` stored, and against the installed torchvision where it loads.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
import torchvision_views as theirs
from PIL import Image
from replaying import Tensors, part, read
from scipy import stats
from sklearn.datasets import load_sample_image
from torch import Tensor

from sightword.views.blur import blur
from sightword.views.colour import JitterDraw, grayscale, jitter, solarize
from sightword.views.drawn import draw
from sightword.views.files import views_of_files
from sightword.views.geometry import cut
from sightword.views.named import asymmetric, language, strong
from sightword.views.pipeline import make_views
from sightword.words import Jitter, View

Peer = Callable[[str], ModuleType]
DRAWS, VIEWS = 20_000, 2000
UNLIKELY = 1e-3  # of a difference by chance, below which distributions count as different
STEPS = ("brightness", "contrast", "saturation", "hue")
LIMITS = {  # mean difference of an operation from torchvision's, levels
    "crop": 0.05,
    "brightness": 0.05,
    "contrast": 0.05,
    "saturation": 0.05,
    "hue": 0.8,  # PIL's own HSV rounds to 8 bits
    "hue back": 0.8,
    "chain": 0.8,
    "gray": 0.05,
    "blur, faint": 0.8,  # PIL rounds six times
    "blur": 0.8,
    "blur, strong": 0.8,
    "solarize": 0.3,  # a level of the resize across its threshold turns into many
}


@pytest.fixture(scope="module", params=["recorded", "installed"])
def reference(request: pytest.FixtureRequest) -> Tensors:
    """What torchvision answered: as stored, and once more where it loads, to other seeds."""
    record = read("views")
    if request.param == "recorded":
        return record
    request.getfixturevalue("peer")("torchvision")
    pictures = record["pictures"].numpy()
    answers = {
        "drawn": theirs.drawn(1000, seed=11),
        "operated": theirs.operated(pictures),
        "finished": theirs.finished(pictures, VIEWS // 4, seed=12),
    }
    return {"pictures": record["pictures"]} | {
        f"{kind}/{name}": tensor for kind, tensors in answers.items() for name, tensor in tensors.items()
    }


def our_draws(view: View, count: int = DRAWS, seed: int = 5) -> Tensors:
    """Our parameters under the names of `torchvision_views.drawn`."""
    sizes = np.tile([theirs.ROWS, theirs.COLUMNS], (count, 1))
    what = draw(view, sizes, seed, np.arange(count), 0)
    places = [dict(theirs.placed(*crop)) for crop in what.crops.tolist()]
    found = {name: np.array([place[name] for place in places]) for name in places[0]}
    blurred = np.isin(np.arange(count), what.blurred)
    found |= {"did rgb_to_grayscale": what.gray, "did hflip": what.flipped, "did blur": blurred}
    found |= {"jittered": what.jittered, "blur": what.sigma}
    if what.jitter is not None:
        amounts = what.jitter.amounts[what.jittered]
        found |= {step: amounts[:, i] for i, step in enumerate(STEPS)} | {
            "order": what.jitter.order[what.jittered]
        }
    return {name: torch.from_numpy(np.asarray(values, dtype=np.float64)) for name, values in found.items()}


def likelihood(name: str, ours: Tensor, other: Tensor) -> float:
    """Of a difference as large as this one, were both drawn alike."""
    if name.startswith(theirs.COUNTED):
        values = torch.cat([ours, other]).unique()
        table = [[int((side == value).sum()) for value in values] for side in (ours, other)]
        return 1.0 if len(values) == 1 else float(stats.chi2_contingency(table).pvalue)
    return float(stats.ks_2samp(ours.numpy(), other.numpy()).pvalue)


@pytest.mark.parametrize(("name", "view"), [("clip", language(224)), ("strong", strong(224))])
def test_chance_decides_as_in_torchvision(reference: Tensors, name: str, view: View) -> None:
    ours = our_draws(view)
    for what, other in part(part(reference, "drawn"), name).items():
        found = likelihood(what, ours[what], other)
        print(f"{name}, {what}: p = {found:.3f} of {len(other)} draws")
        assert found > UNLIKELY, what


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("share", replace(strong(224), scale=(0.15, 1.0))),
        ("log ratio", replace(strong(224), ratio=(0.8, 1.25))),
        ("brightness", replace(strong(224), jitter=Jitter(0.35, 0.4, 0.4, 0.1))),
        ("hue", replace(strong(224), jitter=Jitter(0.4, 0.4, 0.4, 0.08))),
        ("jittered", replace(strong(224), jitter=Jitter(0.4, 0.4, 0.4, 0.1, p=0.7))),
        ("did rgb_to_grayscale", replace(strong(224), grayscale=0.3)),
        ("did hflip", replace(strong(224), flip=0.4)),
        ("did blur", replace(strong(224), blur=0.6)),
        ("blur", replace(strong(224), sigma=(0.1, 1.7))),
    ],
)
def test_other_views_are_told_apart(what: str, wrong: View) -> None:
    """So many draws are enough to see a parameter that is a little wrong."""
    other = read("views")[f"drawn/strong/{what}"]
    assert likelihood(what, our_draws(wrong)[what], other) < UNLIKELY


def test_solarize_is_as_frequent_as_in_moco_v3(peer: Peer) -> None:
    """Its second view, p .2, by torchvision's own RandomSolarize."""
    transform = peer("torchvision.transforms").RandomSolarize(128, p=0.2)
    torch.manual_seed(3)
    bright = torch.full((3, 1, 1), 255, dtype=torch.uint8)
    others = torch.stack([transform(bright)[0, 0, 0] == 0 for _ in range(3000)]).double()
    sizes = np.tile([theirs.ROWS, theirs.COLUMNS], (DRAWS, 1))
    ours = draw(asymmetric(224, 1), sizes, 5, np.arange(DRAWS), 0).solarized
    assert likelihood("did solarize", torch.from_numpy(ours).double(), others) > UNLIKELY


def our_operation(name: str, pictures: np.ndarray) -> np.ndarray:
    """The same steps by our functions."""
    count = len(pictures)
    everyone = np.ones(count, dtype=bool)
    found = cut(pictures, np.tile(theirs.CROP, (count, 1)), ~everyone, theirs.SIZE)
    for step, amount in theirs.OPERATIONS[name]:
        if step == "gray":
            grayscale(found, everyone)
        elif step == "blur":
            blur(found, np.arange(count), np.full(count, amount))
        elif step == "solarize":
            solarize(found, everyone)
        else:
            amounts = np.tile([1.0, 1.0, 1.0, 0.0], (count, 1))
            amounts[:, theirs.STEPS.index(step)] = amount
            jitter(found, everyone, JitterDraw(np.zeros(count, dtype=np.int64), amounts))
    return found


@pytest.mark.parametrize("name", list(theirs.OPERATIONS))
def test_an_operation_is_torchvisions(reference: Tensors, name: str) -> None:
    pictures, other = reference["pictures"].numpy(), reference[f"operated/{name}"].numpy()
    away = np.abs(our_operation(name, pictures).astype(float) - other).mean()
    print(f"{name}: {away:.3f} levels")
    assert away < LIMITS[name]
    if name != "crop":  # and it did something
        assert np.abs(other.astype(float) - reference["operated/crop"].numpy()).mean() > away


@pytest.mark.parametrize("path", ["0", "1"], ids=["portable", "native"])
@pytest.mark.parametrize(("name", "view"), [("clip", language(theirs.SIZE)), ("strong", strong(theirs.SIZE))])
def test_finished_views_have_the_same_statistics(
    reference: Tensors, name: str, view: View, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 4.5 standard errors and .3 levels, of which PIL's own HSV takes most."""
    monkeypatch.setenv("SIGHTWORD_NATIVE", path)
    for number, picture in enumerate(reference["pictures"].numpy()):
        views = make_views([picture] * VIEWS, [view], 9, np.arange(VIEWS), 0)[view]
        ours, other = theirs.statistics(views).double(), reference[f"finished/{name}/{number}"].double()
        away, error = (ours[0] - other[0]).abs(), torch.hypot(ours[1], other[1])
        print(
            f"{name}, picture {number}: {away.max():.2f} levels, {(away / error).max():.1f} standard errors"
        )
        assert (away < 4.5 * error + 0.3).all()
        assert error.max() < 5


@pytest.mark.parametrize("path", ["0", "1"], ids=["portable", "native"])
@pytest.mark.parametrize(
    "view", [language(224), strong(224), asymmetric(224, 1)], ids=["clip", "strong", "moco"]
)
def test_files_become_the_views_of_torchvision_with_our_parameters(
    peer: Peer, view: View, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From JPEG files of photographs: decoding, crop, colours, blur, solarisation and flip in one."""
    peer("torchvision")
    monkeypatch.setenv("SIGHTWORD_NATIVE", path)
    photographs = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    files, count = [jpeg(photograph) for photograph in photographs], 12
    ids, epochs = np.arange(count), np.zeros(count, dtype=np.int64)
    made = views_of_files([files[i % 2] for i in ids], [str(i) for i in ids], [view], 4, ids, epochs)
    opened = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    what = draw(view, np.array([(opened[i % 2].height, opened[i % 2].width) for i in ids]), 4, ids, epochs)
    others = torch.stack([theirs.as_drawn(opened[i % 2], view, what, i) for i in range(count)])
    away = (made.views[view].double() - others.double()).abs().mean((1, 2, 3))
    print(f"{away.mean():.2f} levels, at most {away.max():.2f} in a view")
    assert not made.bad
    assert away.mean() < 1.5
    assert away.max() < 4


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
