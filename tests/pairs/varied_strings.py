# ruff: noqa: RUF001 - characters that look like others are what these strings are for
"""Strings of every kind, and open_clip's own tokenizer to compare with.

`python tests/pairs/varied_strings.py` writes the golden file again, where open_clip_torch is installed.
"""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path
from types import ModuleType

GOLDEN = Path(__file__).with_name("clip_golden.json")

PIECES = [
    "a photo of a dog",
    "Don't you'LL we've I'm 'S '’s",
    "café naïve Straße ÅNGSTRÖM İstanbul ǅ",
    "cafe\u0301 e\u0308 \u212b",
    "🐕 👩🏽‍🚀 🇩🇪 ☕️ 🫠",
    "犬の写真 こんにちは カタカナ ﾊﾝｶｸ ＦＵＬＬ　ＷＩＤＴＨ",
    "고양이 사진 中文字符 繁體",
    "кошка ΚΑΛΗΜΕΡΑ ςσ עברית العربية हिन्दी ไทย",
    "&amp; &lt;b&gt; &eacute; &#39; &#x1F600; &amp;amp;eacute; &nbsp; &notanentity; &EACUTE; AT&T R&D",
    "schÃ¶n â€œquotedâ€\x9d lâ€™Ã©tÃ© voilÃ  cafÃƒÂ©",
    "tabs\tand\nnew\r\nlines \u2028 \u00a0 \u3000 \x85 end",
    "\x00\x01\x07\x0b\x0c\x1b[31mred\x1b[0m \x1c\x1f \x7f \ufeff \u200b\u200d",
    "“curly” ‘quotes’ – — … ﬁ ﬂ ĳ ŉ",
    "1234567890 ½ ² Ⅷ ① ٣ 3.14 1,000",
    "!!! ... ??? --- ___ *** #hash @at $€£ 100% ^_^ :-)",
    "http://www.example.com/a?b=c&d=e#f IMG_20190101_123456.JPG",
    "<end_of_text> x<start_of_text>y !<end_of_text> &lt;END_OF_TEXT&gt; <ſtart_of_text>",
    "it'ſ ſ K \ufb05 \u0345 \u037a ß ẞ",
    "\ud800 \udfff \ud83d\ude00 \ufffd",
    "supercalifragilisticexpialidocious" * 3,
    "ͰͱͲͳ \u0560 \u1c89 \ua7dd \u31350 \U0003134f",
    " ",
    "",
]


def varied(count: int, seed: int = 0) -> list[str]:
    """`count` strings: every piece alone, then pieces mixed and cut, and any characters at all."""
    draw = random.Random(seed)
    strings = [*PIECES, "word " * 100, "x" * 400, "é" * 200, "日" * 90, "a" * 74, "dog " * 75, "dog " * 76]
    while len(strings) < count:
        kind = draw.random()
        if kind < 0.4:
            text = " ".join(draw.choices(PIECES, k=draw.randint(1, 5)))
            start = draw.randrange(len(text) + 1)
            strings.append(text[start : start + draw.randint(1, 60)])
        elif kind < 0.7:
            words = " ".join(PIECES).split(" ")
            strings.append(
                draw.choice([" ", "", "  ", ", "]).join(draw.choices(words, k=draw.randint(1, 12)))
            )
        elif kind < 0.85:
            strings.append("".join(chr(draw.randrange(0x80)) for _ in range(draw.randint(1, 40))))
        else:
            top = draw.choice([0x180, 0x600, 0x3100, 0x10000, 0x110000])
            strings.append("".join(chr(draw.randrange(top)) for _ in range(draw.randint(1, 12))))
    return strings[:count]


def open_clip_module() -> ModuleType | None:
    """open_clip's tokenizer.py alone (its package needs torchvision); None where it is not installed."""
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        return None
    spec = importlib.util.spec_from_file_location(
        "open_clips_tokenizer", Path(package.origin).with_name("tokenizer.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write_golden() -> None:
    module = open_clip_module()
    assert module is not None, "install open_clip_torch, without its dependencies"
    strings = varied(400, seed=1)
    rows = []
    for text, ids in zip(strings, module.SimpleTokenizer()(strings).tolist(), strict=True):
        rows.append([text, ids[: ids.index(49407) + 1] if 49407 in ids else ids])
    lines = ",\n".join(json.dumps(row) for row in rows)
    GOLDEN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    _write_golden()
