"""What lies in a folder of scores: nothing of a reference that is not asked for any more."""

from __future__ import annotations

import shutil
from pathlib import Path

from small_adaptation import Small

from sightword.adapting import scoring
from sightword.adapting.scoring import Change
from sightword.evaluation.scores import read_scores
from sightword.study.holding import TEST, VALIDATION


def test_another_reference_leaves_nothing_of_the_one_before(small: Small, tmp_path: Path) -> None:
    folder = shutil.copytree(small.out / "adapted", tmp_path / "adapted")
    before = read_scores(folder)
    assert {one.dataset for one in before} == {TEST, "squares"}
    scoring._forget(folder, [str(small.folder / "squares"), "others"])
    assert read_scores(folder) == before
    scoring._forget(folder, ["others"])
    assert read_scores(folder) == [one for one in before if one.dataset == TEST]
    assert {path.stem for path in (folder / "outcomes").iterdir()} == {f"{TEST}-test-retrieval"}


def test_the_change_is_of_both_folders(small: Small) -> None:
    first, second = (small.out / "mixed" / f"alpha-{alpha}" for alpha in ("0", "1"))
    change, back = Change.between(first, second), Change.between(second, first)
    assert change.own.value == -back.own.value != 0
    (one,) = change.sets
    assert (one.dataset, one.task) == ("squares", "zeroshot")
    assert change.worst == one
    assert change.reference == one.difference
    own = [s.value for f in (first, second) for s in read_scores(f) if s.dataset == VALIDATION and s.headline]
    assert abs(change.own.value - (own[1] - own[0])) < 1e-12
