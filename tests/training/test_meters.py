"""What is measured of a step's features: of the right encodings, and of what objectives really compare."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_runs import BYOL, MAE, SIMCLR, opened, plain, tiny
from torch import Tensor

from sightword import collapse
from sightword.config import OptimizerConfig
from sightword.training.caching import forward_backward
from sightword.training.loop import Loop, train
from sightword.training.meters import ROWS, feature_readings, overhearing, view_readings
from sightword.training.records import flatten, read_records
from sightword.training.together.engine import Engine
from sightword.views import named
from sightword.words import Caption, Encode, Encoded, Masking, Teacher, View

SMALL = View(8)


def some(seed: int, rows: int = 10, width: int = 6) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    return Encoded(torch.randn(rows, width, generator=generator), torch.zeros(rows, 0, width))


WHOLE = Encode("image", view=View(16))
CLEARER = [  # of each neighbouring pair the first is the clearer look at the tower
    WHOLE,
    Encode("image", view=SMALL),
    Encode("image", view=View(16), keep=Masking(0.75)),
    Encode("joint", view=View(16), caption=Caption()),
    Encode("joint", view=View(16), caption=Caption(), keep=Masking(0.75)),
]


@pytest.mark.parametrize("best", range(len(CLEARER)))
def test_collapse_is_looked_for_in_the_clearest_view_of_the_student(best: int) -> None:
    others = [Encode("text", caption=Caption()), Encode("image", view=View(16, draw=5), teacher=Teacher())]
    encoded = {e: some(i) for i, e in enumerate([*others, *reversed(CLEARER[best:])])}
    pooled = encoded[CLEARER[best]].pooled
    found = feature_readings(encoded, {})
    assert found == {
        "effective_rank": pytest.approx(collapse.effective_rank(pooled).item()),
        "rank_most": 6,
        "spread": pytest.approx(collapse.deviation(pooled).item() * 6**0.5),
    }


def test_a_run_without_pictures_of_the_student_has_no_features() -> None:
    assert feature_readings({Encode("text", caption=Caption()): some(0)}, {}) == {}


def test_no_more_than_some_rows_are_measured() -> None:
    many = some(0, rows=ROWS + 50, width=4)
    found = feature_readings({WHOLE: many}, {"image": many.pooled, "text": many.pooled + 1})
    first = many.pooled[:ROWS]
    assert found["effective_rank"] == pytest.approx(collapse.effective_rank(first).item())
    assert found["alignment"] == pytest.approx(collapse.alignment(first, first + 1).item())
    assert found["image_uniformity"] == pytest.approx(collapse.uniformity(first).item())
    assert found["text_uniformity"] == pytest.approx(collapse.uniformity(first + 1).item())


def test_pictures_and_captions_that_are_no_pairs_are_not_compared() -> None:
    heard = {"image": some(0).pooled, "text": some(1, rows=4).pooled}
    assert "alignment" not in feature_readings({}, heard)
    assert "alignment" not in feature_readings({}, {"image": heard["image"]})


def test_two_views_are_the_first_two_that_the_student_sees_whole() -> None:
    first, second, third = (Encode("image", view=View(16, draw=i)) for i in range(3))
    slow = Encode("image", view=View(16, draw=3), teacher=Teacher())
    hidden = Encode("image", view=View(16, draw=4), keep=Masking(0.5))
    encoded = {e: some(i) for i, e in enumerate([first, second, third, slow, hidden])}
    wants = {
        "many": {"t": slow, "h": hidden, "a": second, "b": third, "c": first},
        "twice the same": {"a": first, "b": first},
        "one": {"a": first, "t": slow, "h": hidden},
    }
    a, b = encoded[second].pooled, encoded[third].pooled
    assert view_readings(encoded, wants) == {
        "many": {
            "view_alignment": pytest.approx(collapse.alignment(a, b).item()),
            "view_uniformity": pytest.approx(collapse.uniformity(a).item()),
        }
    }


@pytest.mark.parametrize("chunks", [1, 3])
def test_what_an_objective_projects_is_overheard(tmp_path: Path, data: Path, chunks: int) -> None:
    """The features that clip's own figure of its pairs is made of."""
    session = opened(tmp_path / "run", data, f"{SIMCLR} + clip")
    model, batch = session.model, session.steps(None)[0]
    joint = model.encoders.joint
    assert joint is not None
    with overhearing(joint) as heard:
        answer = forward_backward(Engine(model), batch, 1.0, chunks, plain())
    assert {side: len(features) for side, features in heard.items()} == {"image": 8, "text": 8}
    assert not any(features.requires_grad for features in heard.values())
    found = feature_readings(answer.encoded, heard)
    cosine = float(answer.terms["clip"].metrics["pair_cosine"])
    assert found["alignment"] == pytest.approx(2 - 2 * cosine, rel=1e-5)
    joint.embed_image(torch.zeros(1, joint.image.in_features))
    assert len(heard["image"]) == 8, "nobody listens any more"


def test_the_first_that_is_said_counts_and_without_a_joint_space_nothing_is(
    tmp_path: Path, data: Path
) -> None:
    joint = opened(tmp_path / "run", data).model.encoders.joint
    assert joint is not None
    wide = joint.image.in_features
    with overhearing(joint) as heard:
        joint.embed_image(torch.ones(2, wide))
        joint.embed_image(torch.zeros(3, wide))
    assert torch.equal(heard["image"], joint.image(torch.ones(2, wide)))
    with overhearing(None) as heard:
        pass
    assert heard == {}


def test_every_record_has_them_and_in_chunks_they_are_the_same(tmp_path: Path, data: Path) -> None:
    """Of the very batch that the record is about."""
    objective, features = f"clip + {SIMCLR} + {MAE} + {BYOL}", []
    for chunk in (0, 3):
        config = tiny(tmp_path / str(chunk), data, objective, steps=2, chunk=chunk)
        session = opened(tmp_path / f"twin {chunk}", data, objective)
        found = read_records(train(config, say=lambda line: None) / "metrics.jsonl")
        steps = [r for r in found if r["kind"] == "step"]
        assert [set(r["features"]) for r in steps] == [
            {"effective_rank", "rank_most", "spread", "alignment", "image_uniformity", "text_uniformity"}
        ] * 2
        with torch.no_grad():
            seen = session.model.encode(session.steps(None)[0])
        view = named.language(session.model.encoders.towers["image"].facts.size)
        pooled: Tensor = seen[Encode("image", view=view)].pooled
        rank = collapse.effective_rank(pooled).item()
        assert steps[0]["features"]["effective_rank"] == pytest.approx(rank, rel=1e-4)
        two_views = {n for n, t in steps[0]["terms"].items() if "view_alignment" in t}
        assert two_views == {"simclr", "byol"}
        assert all("grad_norm" in t for t in steps[0]["terms"].values())
        names = {name for name, _ in flatten(steps[0])}
        assert {"features/spread", "terms/simclr/view_uniformity", "grad_cosines/clip/simclr"} <= names
        features.append(steps[0])
    for path, value in flatten({k: features[0][k] for k in ("features", "grad_cosines")}):
        assert value == pytest.approx(dict(flatten(features[1]))[path], rel=1e-3, abs=1e-4), path


@pytest.mark.parametrize(("start", "at_most"), [(20.0, True), (4.6, False)])  # exp(4.6) is 99.5
def test_the_cap_of_the_logit_scale_is_seen(tmp_path: Path, data: Path, start: float, at_most: bool) -> None:
    session = opened(
        tmp_path / "run", data, steps=2, optimizer=OptimizerConfig(lr=0.0, lr_start=0.0, lr_end=0.0)
    )
    joint = session.model.encoders.joint
    assert joint is not None
    joint.logit_scale.data.fill_(start)
    out = Loop(session, say=lambda line: None).run()
    for step in (r for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"):
        assert step["logit_scale_at_most"] is at_most
        assert step["logit_scale"] == pytest.approx(100 if at_most else math.exp(4.6), rel=1e-6)
        assert step["temperature"] == pytest.approx(1 / step["logit_scale"])
