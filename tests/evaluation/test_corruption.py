from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from colour_sets import ColourModel, write_folder

from sightword.errors import SightwordError
from sightword.evaluation import corruption
from sightword.evaluation.benchmarks import Benchmark, open_benchmark
from sightword.evaluation.corruption import Corruption, Which, worn_set
from sightword.evaluation.corruptions.all import corrupted
from sightword.evaluation.features import FeatureStore
from sightword.views.decode import decode
from sightword.views.evaluation import Preparation, centre

FEW = Which(("fog", "gaussian_noise"), (1, 5))


@pytest.fixture
def colours(tmp_path: Path) -> Benchmark:
    return open_benchmark(str(write_folder(tmp_path / "colours", each=5)))


def by_hand(model: ColourModel, benchmark: Benchmark, name: str, severity: int) -> np.ndarray:
    test = benchmark.tests[0]
    assert test.classes is not None
    texts = model.encode_text([f"a {name}" for name in test.classes.names])
    right = []
    for i, key in enumerate(test.keys):
        square = centre([decode(test.read(i), key)], model.image_size)
        worn = corrupted(square[0].permute(1, 2, 0).numpy(), name, severity, key)
        image = centre([worn], model.image_size)
        right.append(int((model.encode_image(image, project=True) @ texts.T).argmax()) == test.classes.of[i])
    return np.array(right)


def test_each_condition_is_what_it_is_by_hand(colours: Benchmark) -> None:
    model = ColourModel()
    answer = Corruption(which=FEW).answer(FeatureStore(model, None), colours.tests[0], None)
    found = {m.metric: m for m in answer.measured}
    shares = []
    for name, severity in FEW.conditions():
        right = by_hand(model, colours, name, severity)
        np.testing.assert_array_equal(
            answer.outcomes[f"acc1_{name}_{severity}"].to_numpy(zero_copy_only=False), right
        )
        assert found[f"acc1_{name}_{severity}"].interval.value == pytest.approx(right.mean())
        shares.append(right.mean())
    assert found["acc1_corrupted"].interval.value == pytest.approx(np.mean(shares))
    assert found["acc1_severity_5"].interval.value == pytest.approx((shares[1] + shares[3]) / 2)
    assert found["acc1_fog"].interval.value == pytest.approx((shares[0] + shares[1]) / 2)
    lost = found["acc1_clean"].interval.value - np.mean(shares)
    assert found["acc1_lost"].interval.value == pytest.approx(lost)
    assert lost > 0
    assert answer.measured[0].metric == "acc1_corrupted"
    for metric, one in found.items():
        assert np.mean(answer.outcomes[metric].to_numpy(zero_copy_only=False)) == pytest.approx(
            one.interval.value
        )


def test_the_probe_learns_from_clean_pictures(colours: Benchmark) -> None:
    task, model = Corruption(True, Which(("gaussian_noise",), (5,))), ColourModel(has_text=False)
    assert Corruption().refuses(model, colours.tests[0], colours.train) == "the run has no text tower"
    assert task.refuses(model, colours.tests[0], colours.train) == ""
    assert "train" in task.refuses(model, colours.tests[0], None)
    found = {
        m.metric: m for m in task.answer(FeatureStore(model, None), colours.tests[0], colours.train).measured
    }
    assert found["acc1_clean"].interval.value > 0.9
    assert found["acc1_gaussian_noise_5"].interval.value <= found["acc1_clean"].interval.value


def test_what_was_cut_short_goes_on(
    colours: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, done = corruption.extract, []

    def breaks(model, worn, kind):  # type: ignore[no-untyped-def]
        if len(done) == 3:
            raise SightwordError("the machine went away")
        done.append(worn.split)
        return real(model, worn, kind)

    monkeypatch.setattr(corruption, "extract", breaks)
    store = tmp_path / "features"
    with pytest.raises(SightwordError):
        Corruption(which=FEW).answer(FeatureStore(ColourModel(), store), colours.tests[0], None)
    assert len(list(store.glob("*fog*"))) == 2
    done[:] = ["only one more may be made", "", "", ""][:2]
    answer = Corruption(which=FEW).answer(FeatureStore(ColourModel(), store), colours.tests[0], None)
    assert done[2:] == ["test-gaussian_noise-5"]
    assert [p.name for p in store.iterdir()] == ["colours-test.safetensors"]
    monkeypatch.setattr(corruption, "extract", real)
    whole = Corruption(which=FEW).answer(FeatureStore(ColourModel(), None), colours.tests[0], None)
    assert answer.outcomes.equals(whole.outcomes)


def test_what_was_kept_of_other_weights_is_not_taken(colours: Benchmark, tmp_path: Path) -> None:
    store = FeatureStore(ColourModel(), tmp_path)
    assert store.kept("x", "a", lambda: np.arange(3)).tolist() == [0, 1, 2]
    assert store.kept("x", "a", lambda: np.arange(5)).tolist() == [0, 1, 2]
    assert store.kept("x", "b", lambda: np.arange(4)).tolist() == [0, 1, 2, 3]
    other = FeatureStore(ColourModel(weights_hash="w1"), tmp_path)
    assert other.kept("x", "b", lambda: np.arange(2)).tolist() == [0, 1]
    other.drop("x")
    assert not list(tmp_path.glob("x*"))


def test_a_part_of_the_pictures_and_an_unreadable_one(colours: Benchmark, tmp_path: Path) -> None:
    test = colours.tests[0]
    which = Which(("contrast",), (5,), pictures=12)
    rows = which.rows(len(test))
    assert len(rows) == 12
    assert (np.diff(rows) > 0).all()
    (tmp_path / "colours" / "test" / test.keys[rows[4]]).write_bytes(b"no picture")
    broken = open_benchmark(str(tmp_path / "colours")).tests[0]
    answer = Corruption(which=which).answer(FeatureStore(ColourModel(), None), broken, None)
    assert answer.outcomes["key"].to_pylist() == [test.keys[r] for r in rows if r != rows[4]]
    assert answer.measured[0].n == 11


def test_a_worn_set_is_of_the_models_size(colours: Benchmark) -> None:
    worn = worn_set(colours.tests[0], np.array([3, 1]), Preparation(8), "contrast", 2)
    assert worn.keys == (colours.tests[0].keys[3], colours.tests[0].keys[1])
    picture = worn.read(0)
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (8, 8, 3)


def test_the_protocol_names_all_that_decides(colours: Benchmark) -> None:
    one = Corruption(which=FEW).protocol(ColourModel(), colours.tests[0], None)
    assert one["severities"] == (1, 5)
    assert one["left_out"] == ["frost"]
    assert one != Corruption().protocol(ColourModel(), colours.tests[0], None)
