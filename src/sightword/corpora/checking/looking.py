"""What one job of an examination finds and counts, kept on disk until all jobs are done."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from sightword.corpora.checking.findings import Finding, Findings, Kind
from sightword.corpora.fingerprints import ROW, hash64, looks
from sightword.errors import BadSample
from sightword.pairs.tars.writer import extension
from sightword.randomness import stream, uniform
from sightword.views.decode import decode

CONTEXT = 77  # tokens, start and end included, that CLIP's text tower reads
TINY = 8  # pixels of the shorter side: half a patch of the usual encoders
STRIP = 10.0  # longer over shorter side
_SAME = {"jpeg": "jpg", "tiff": "tif"}


@dataclass(frozen=True)
class Looking:
    """What every process needs to know.

    Args:
        work: a folder for what is found meanwhile.
        split: only samples whose json says so.
        share: of the pictures that are decoded; which ones depends on their keys alone.
        captionless: whether pictures without captions are wanted.
    """

    work: Path
    split: str
    share: float
    captionless: bool

    def decodes(self, key: str) -> bool:
        """Whether this sample's picture is among those that are decoded."""
        if self.share >= 1:
            return True
        drawn = uniform(0, stream("check"), [hash64(key.encode(errors="replace"))], 0, 1)
        return bool(drawn[0, 0] < self.share)


@dataclass
class Tally:
    """Counts of a job, or of all."""

    samples: int = 0
    decoded: int = 0  # pictures
    captions: int = 0
    characters: int = 0  # in all captions
    longest: int = 0  # characters
    longest_key: str = ""
    over_context: int = 0  # captions of more than 77 tokens: their end is cut off

    def add(self, other: Tally) -> None:
        """Both together."""
        if other.longest > self.longest:
            self.longest, self.longest_key = other.longest, other.longest_key
        for name in ("samples", "decoded", "captions", "characters", "over_context"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Looked:
    """What a job tells its parent; the rest is in its files."""

    number: int
    tally: Tally
    counts: Mapping[Kind, int]
    firsts: Mapping[Kind, Finding]


@dataclass(frozen=True)
class Kept:
    """The files of a job."""

    stem: Path

    @property
    def findings(self) -> Path:
        """JSON lines."""
        return self.stem.with_suffix(".jsonl")

    def rows(self) -> np.ndarray:
        """A `ROW` for each sample with a picture, mapped, not read."""
        found: np.ndarray = np.load(self.stem.with_suffix(".rows.npy"), mmap_mode="r", allow_pickle=False)
        return found

    def captions(self) -> np.ndarray:
        """A hash of each caption."""
        found: np.ndarray = np.load(self.stem.with_suffix(".captions.npy"), allow_pickle=False)
        return found

    def keys(self) -> list[tuple[str, str]]:
        """Shard and key of each row."""
        told = json.loads(self.stem.with_suffix(".keys.json").read_bytes())
        return [(told["shard"], key) for key in told["keys"]]


def kept(work: Path, number: int) -> Kept:
    """The files of job `number`."""
    return Kept(work / f"{number:07d}")


@dataclass
class Look:
    """One job at work. Use as a context: at its end the files are written."""

    looking: Looking
    number: int
    shard: str
    tally: Tally = field(default_factory=Tally)
    _rows: list[np.ndarray] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)
    _captions: list[int] = field(default_factory=list)
    _long: list[str] = field(default_factory=list)

    def __enter__(self) -> Look:
        self.kept = kept(self.looking.work, self.number)
        self.findings = Findings(self.kept.findings.open("wb"))
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, of what it mends in a file
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such pictures are listed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quiet.__exit__(kind, error, trace)
        self.findings.file.close()
        if error is None:
            self.tally.over_context = _over_context(self._long)
            self._write()

    def told(self) -> Looked:
        """What the parent should know."""
        return Looked(self.number, self.tally, self.findings.counts, self.findings.firsts)

    def add(self, kind: Kind, key: str, reason: str) -> None:
        """Note something."""
        self.findings.add(kind, self.shard, key, reason)

    def captions(self, key: str, texts: Sequence[str]) -> None:
        """Count captions."""
        for text in texts:
            self.tally.captions += 1
            self.tally.characters += len(text)
            if len(text) > self.tally.longest:
                self.tally.longest, self.tally.longest_key = len(text), key
            data = text.encode(errors="surrogatepass")
            self._captions.append(hash64(data))
            if len(data) > CONTEXT - 2:  # no token is shorter than a byte
                self._long.append(text)

    def picture(self, key: str, data: bytes, named: str = "") -> None:
        """Look at a picture; `named`: the extension under which it lies."""
        row = np.zeros(1, dtype=ROW)
        row["key"], row["file"] = hash64(key.encode(errors="replace")), hash64(data)
        self.tally.samples += 1
        if self.looking.decodes(key):
            self._decode(key, data, named, row)
        self._rows.append(row)
        self._keys.append(key)

    def unreadable(self, error: BadSample) -> None:
        """A sample that could not even be read."""
        self.tally.samples += 1
        self.add(Kind.UNREADABLE, error.key, error.reason)

    def _decode(self, key: str, data: bytes, named: str, row: np.ndarray) -> None:
        try:
            pixels = decode(data, key)
        except BadSample as error:
            self.add(Kind.UNREADABLE, key, error.reason)
            return
        self.tally.decoded += 1
        is_, says = extension(data), _SAME.get(named.lower(), named.lower())
        if says and is_ != says:
            self.add(Kind.WRONG_TYPE, key, f"a {is_} called {named}")
        height, width = pixels.shape[:2]
        if min(height, width) < TINY:
            self.add(Kind.TINY, key, f"{width} x {height} pixels")
        elif max(height, width) > STRIP * min(height, width):
            self.add(Kind.STRIP, key, f"{width} x {height} pixels")
        row["coarse"], row["fine"], row["colours"], row["looks"] = looks(pixels)
        if not row["looks"]:
            self.add(Kind.BLANK, key, f"{width} x {height} pixels of nearly one brightness")

    def _write(self) -> None:
        rows = np.concatenate(self._rows) if self._rows else np.zeros(0, dtype=ROW)
        np.save(self.kept.stem.with_suffix(".rows.npy"), rows)
        np.save(self.kept.stem.with_suffix(".captions.npy"), np.array(self._captions, dtype=np.uint64))
        told = json.dumps({"shard": self.shard, "keys": self._keys})
        self.kept.stem.with_suffix(".keys.json").write_text(told)


def _over_context(texts: Sequence[str]) -> int:
    """How many captions have more tokens than fit, counted as CLIP does."""
    if not texts:
        return 0
    from sightword.pairs.words.tokenizer import ClipTokenizer  # with torch, which few corpora of labels need

    words = ClipTokenizer(CONTEXT + 1)
    return sum(
        int((words(texts[start : start + 1000]).lengths > CONTEXT).sum())
        for start in range(0, len(texts), 1000)
    )
