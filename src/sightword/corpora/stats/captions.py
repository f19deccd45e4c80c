"""A range of captions read and counted; many ranges together are what a corpus says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from sightword.corpora.fingerprints import hash64
from sightword.corpora.parallel import Tick
from sightword.corpora.stats.words import letters, noise, script, words
from sightword.pairs.base import Pairs
from sightword.pairs.words.cleaning import clean

CONTEXT = 77  # tokens, start and end included, that CLIP's text tower reads
AT_ONCE = 2000  # pairs of a job
LONGEST = 256  # tokens that are counted; what is longer counts as so long
CAPTION = np.dtype(
    [
        ("number", "<i8"),  # of the pair
        ("which", "<u2"),  # of its captions
        ("hash", "<u8"),  # of the cleaned text
        ("characters", "<u4"),
        ("words", "<u4"),
        ("tokens", "<u2"),
    ]
)


@dataclass
class Read:
    """What was found. `add` puts two together."""

    rows: np.ndarray  # a `CAPTION` for each caption that says something
    pairs: int = 0
    per_picture: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    scripts: Counter[str] = field(default_factory=Counter)
    noise: Counter[str] = field(default_factory=Counter)
    noise_examples: dict[str, str] = field(default_factory=dict)
    letters: int = 0
    characters: int = 0  # without white space
    splits: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)


def gathered(parts: list[Read]) -> Read:
    """All together; the parts are taken in the order of their pairs, so that the result is always one."""
    parts = sorted(parts, key=lambda part: int(part.rows["number"][0]) if len(part.rows) else -1)
    every = Read(np.concatenate([part.rows for part in parts]) if parts else np.zeros(0, dtype=CAPTION))
    for part in parts:
        for name in ("per_picture", "words", "scripts", "noise", "splits", "fields"):
            getattr(every, name).update(getattr(part, name))
        for name in ("pairs", "letters", "characters"):
            setattr(every, name, getattr(every, name) + getattr(part, name))
        every.noise_examples = part.noise_examples | every.noise_examples
    return every


def read_captions(pairs: Pairs, numbers: Int64[np.ndarray, " n"], tick: Tick) -> Read:
    """Read these pairs' texts, no picture."""
    from sightword.pairs.words.tokenizer import ClipTokenizer  # with torch, which the parent may not need

    found, texts, places = Read(np.zeros(0, dtype=CAPTION)), list[str](), list[tuple[int, int]]()
    for number in numbers.tolist():
        text = pairs.text(number)
        said = [caption for caption in text.captions if caption.strip()]
        found.pairs += 1
        found.per_picture[len(said)] += 1
        found.fields.update(text.fields.keys())
        if isinstance(text.fields.get("split"), str):
            found.splits[text.fields["split"]] += 1
        texts += said
        places += [(number, which) for which, caption in enumerate(text.captions) if caption.strip()]
        tick(1)
    found.rows = np.zeros(len(texts), dtype=CAPTION)
    for row, text_, place in zip(found.rows, texts, places, strict=True):
        row["number"], row["which"] = place
        row["hash"] = hash64(clean(text_).encode(errors="surrogatepass"))
        row["characters"] = len(text_)
        row["words"] = _count(found, text_)
    if texts:
        found.rows["tokens"] = ClipTokenizer(LONGEST)(texts).lengths.numpy()
    return found


def _count(found: Read, text: str) -> int:
    """Add one caption to the counters; how many words it has."""
    said = words(text)
    found.words.update(said)
    found.scripts[script(text)] += 1
    found.letters += letters(text)
    found.characters += sum(not letter.isspace() for letter in text)
    for reason in noise(text):
        found.noise[reason] += 1
        found.noise_examples.setdefault(reason, text[:200])
    return len(said)
