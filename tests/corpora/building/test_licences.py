from __future__ import annotations

import pytest

from sightword.corpora.building.licences import refused


@pytest.mark.parametrize(
    "spdx",
    ["MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "Unlicense", "CC-PDDC"],
)
def test_licences_that_ask_for_attribution_at_most_are_kept(spdx):
    assert not refused(spdx, share_alike=False)


@pytest.mark.parametrize(
    "spdx",
    [
        *("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "GPL-2.0-only", "GPL-3.0-or-later", "LGPL-3.0"),
        *("AGPL-3.0", "MPL-2.0", "OFL-1.1", "MIT-and-more", "Apache-2x0", "proprietary"),
    ],
)
def test_non_commercial_and_copyleft_licences_are_never_kept(spdx):
    assert refused(spdx, share_alike=True) == refused(spdx, share_alike=False) == f"licence {spdx}"


def test_share_alike_is_kept_where_asked_for():
    assert refused("CC-BY-SA-4.0", share_alike=False) == "licence CC-BY-SA-4.0"
    assert not refused("CC-BY-SA-4.0", share_alike=True)


def test_no_licence_is_no_permission():
    assert refused("", share_alike=True) == "licence unknown"
