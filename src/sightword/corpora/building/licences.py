"""Which artwork may go into a corpus, by the SPDX name of its licence.

Kept: licences that ask for attribution at most. Share-alike ones are kept where the caller says so, since
pictures made from theirs stay under theirs. Left out: those that forbid commercial use or derivatives,
copyleft made for programs and fonts (GPL, LGPL, AGPL, MPL, OFL), and whatever has no SPDX name.
"""

from __future__ import annotations

import re

_PERMISSIVE = re.compile(
    r"(MIT(-0)?|ISC|0BSD|BSD-[123]-Clause|Apache-2\.0|CC-BY-[1-4]\.0|CC0-1\.0|CC-PDDC|Unlicense|Zlib|BSL-1\.0)"
)
_SHARE_ALIKE = re.compile(r"CC-BY-SA-[1-4]\.0")


def refused(spdx: str, share_alike: bool) -> str:
    """Why artwork under this licence is left out, or nothing where it is kept."""
    if _PERMISSIVE.fullmatch(spdx) or (share_alike and _SHARE_ALIKE.fullmatch(spdx)):
        return ""
    return f"licence {spdx}" if spdx else "licence unknown"
