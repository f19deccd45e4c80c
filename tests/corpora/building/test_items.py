from __future__ import annotations

from sightword.corpora.building.items import Drops


def test_drops_are_counted_by_reason_the_commonest_first():
    drops = Drops()
    for key, reason in [("a", "blank"), ("b", "animated"), ("c", "animated"), ("d", "hidden")]:
        drops.add(key, reason)
    assert list(drops.counts.items()) == [("animated", 2), ("blank", 1), ("hidden", 1)]
    assert drops.rows[1] == ("b", "animated")
