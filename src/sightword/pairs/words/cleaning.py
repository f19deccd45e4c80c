"""The cleaning of a caption before it is cut into tokens, as CLIP does it."""

from __future__ import annotations

import html
import re

import ftfy

_PLAIN = re.compile(r"[ -%'-~\t\n\r\f]*")  # ASCII without `&` and without the controls that ftfy strips


def clean(text: str) -> str:
    """Mended encoding, HTML entities resolved twice, white space collapsed, lower case.

    The same as open_clip's `clean="lower"`. In plain ASCII without `&` there is nothing to mend or resolve
    (ftfy looks for mojibake beyond ASCII only, and maps line ends to what collapses anyway), so those
    captions, most of them, skip the slow steps.
    """
    if _PLAIN.fullmatch(text) is None:
        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()
