"""What a job keeps on disk is what it was told, and shares are drawn by keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from odd_pictures import scenery, stored

from sightword.corpora.checking.looking import Look, Looking, Tally, kept
from sightword.corpora.fingerprints import hash64
from sightword.errors import BadSample


def looking(work: Path, share: float = 1.0) -> Looking:
    return Looking(work, split="", share=share, captionless=False)


def test_files_of_a_job(tmp_path: Path) -> None:
    picture = stored(scenery(30, 20))
    with Look(looking(tmp_path), 7, "a.tar") as look:
        look.captions("one", ["a", "bb"])
        look.picture("one", picture, "png")
        look.picture("two", b"broken", "png")
        look.unreadable(BadSample("three", "gone"))
    files = kept(tmp_path, 7)
    rows = files.rows()
    assert files.keys() == [("a.tar", "one"), ("a.tar", "two")]
    assert rows["file"].tolist() == [hash64(picture), hash64(b"broken")]
    assert rows["looks"].tolist() == [True, False]
    assert files.captions().tolist() == [hash64(b"a"), hash64(b"bb")]
    assert len(files.findings.read_bytes().splitlines()) == 2
    told = look.told()
    assert told.tally == Tally(samples=3, decoded=1, captions=2, characters=3, longest=2, longest_key="one")
    assert [first.key for first in told.firsts.values()] == ["two"]


def test_a_share_is_drawn_by_keys(tmp_path: Path) -> None:
    keys = [str(number) for number in range(600)]
    some = [looking(tmp_path, 0.3).decodes(key) for key in keys]
    assert some == [looking(tmp_path, 0.3).decodes(key) for key in keys]
    assert abs(np.mean(some) - 0.3) < 0.1  # five standard deviations
    more = [looking(tmp_path, 0.6).decodes(key) for key in keys]
    assert all(later for later, sooner in zip(more, some, strict=True) if sooner)


def test_tallies_add_up() -> None:
    total = Tally(samples=1, decoded=1, captions=2, characters=9, longest=5, longest_key="a")
    total.add(Tally(samples=2, captions=1, characters=7, longest=7, longest_key="b", over_context=1))
    total.add(Tally(longest=7, longest_key="c"))
    assert total == Tally(3, 1, 3, 16, 7, "b", 1)
