r"""Flickr's titles and descriptions as SLIP cleans them.

YFCC100M's table has them URL-encoded, with HTML inside. SLIP (its released code, make_dataset.py) resolves
%XX, then makes a space of every `+`, then takes out links and the tags of bold and italics, then whatever
begins with `http` or `www` up to the next white space. Two oddities are kept, because the published runs had
them: a real plus sign, stored as %2B, becomes a space too ("C++" -> "C  "), and other tags stay.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_TAGS = re.compile(r"<a.*?>|</a>|<b>|</b>|<i>|</i>")
_ADDRESSES = re.compile(r"http\S+|www\S+")


def clean_title(stored: str) -> str:
    """A title or description, ready to be a caption; may be empty."""
    return _ADDRESSES.sub("", _TAGS.sub("", unquote(stored).replace("+", " ")))
