from __future__ import annotations

import pytest

from sightword.objectives import catalogue
from sightword.study.analysis.published import published


def test_every_number_has_a_source_and_is_a_percentage() -> None:
    told = published()
    assert len(told.anchors) > 20
    for anchor in told.anchors:
        assert anchor.address.startswith("arXiv:")
        assert anchor.source
        assert anchor.table
        for percent in (anchor.zeroshot, anchor.linear, anchor.finetune):
            assert percent is None or 10 < percent < 90
    said = [(a.objective, a.model, a.corpus, a.epochs) for a in told.anchors]
    assert len(set(said)) == len(said)


def test_slips_gain_over_clip() -> None:
    """What the paper's abstract says: 5.2 points zero-shot over CLIP, 8.1 linear over SimCLR."""
    told = published()
    gains = {(a.objective, a.corpus, a.epochs): gain for a, gain in told.gains("zeroshot", "vit-b16")}
    assert gains["clip + simclr", "YFCC15M", 25] == pytest.approx(0.052)
    over = {
        (a.objective, a.epochs): g
        for a, g in told.gains("linear", "vit-b16", "simclr")
        if a.corpus == "YFCC15M"
    }
    assert over["clip + simclr", 25] == pytest.approx(0.081)
    assert ("clip + simclr", "YFCC15M", 100) not in gains  # no baseline of as many epochs was published


def test_mae_clip_is_told_in_words_alone() -> None:
    told = published()
    assert {a.paper for a in told.anchors} == {"SLIP"}
    assert [(one.size, one.direction) for one in told.findings] == [(11_300_000, 1), (1_400_000_000, 0)]


def test_arms_have_the_projects_own_names() -> None:
    names = {anchor.objective for anchor in published().anchors}
    for name in names - {"clip started from simclr", "clip + simclr on other images"}:
        catalogue.parse(name)
