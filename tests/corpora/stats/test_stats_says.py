"""Numbers in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightword.corpora.stats.record import Share
from sightword.corpora.stats.says import percent, size
from sightword.report.phrases import THIN


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0"),
        (1.0, "100"),
        (0.0001, "<0.1"),
        (0.0123, "1.2"),
        (0.384, "38"),
        (0.9999, "99.9"),
        (0.996, "99.6"),
    ],
)
def test_percent(share: float, said: str) -> None:
    assert percent(share) == f"{said}{THIN}%"


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_only_nothing_is_0_and_only_all_is_100(count: int, of: int) -> None:
    said = percent(Share.make(min(count, of), of))
    assert (said == f"0{THIN}%") == (count == 0)
    assert (said == f"100{THIN}%") == (count >= of)


@pytest.mark.parametrize(
    ("count", "said"), [(12, "12 bytes"), (6_534_000, f"6.53{THIN}MB"), (2.5e12, f"2.5{THIN}TB")]
)
def test_size(count: float, said: str) -> None:
    assert size(count) == said
