"""What `sightword data stats` records: `stats.json` is exactly this, and every figure is drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    of: int
    share: float  # 0 where there is nothing

    @classmethod
    def make(cls, count: int, of: int) -> Share:
        """From counts alone."""
        return cls(int(count), int(of), count / of if of else 0.0)


@dataclass(frozen=True)
class Histogram:
    """How many values lie from each edge (inclusive) up to the next."""

    edges: tuple[float, ...]  # one more than counts
    counts: tuple[int, ...]
    open: bool = False  # the last bin (of a `clip`ped histogram also the first) counts all beyond it too
    low: float = 0.0  # the 5th percentile
    median: float = 0.0
    high: float = 0.0  # the 95th percentile


@dataclass(frozen=True)
class Curve:
    """Points of a line."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]


@dataclass(frozen=True)
class About:
    """The source as a whole."""

    source: str
    split: str
    pairs: int
    blocks: int  # shards, or blocks of a table
    smallest_block: int
    largest_block: int
    data_hash: str
    left_out: Mapping[str, int]  # by reason, what is not among the pairs
    notes: tuple[str, ...]
    remote: bool  # then the sample comes from a few whole shards


@dataclass(frozen=True)
class Shrink:
    """What `data pack --resize` would do, tried out on some of the pictures that it would change."""

    resize: int  # pixels of the shorter side
    would_change: Share  # of the readable pictures
    tried: int
    bytes_before: int  # of the tried
    bytes_after: int
    seconds_before: float  # of one core, to decode the tried
    seconds_after: float
    bytes_now: float  # of all pictures of the corpus, estimated from the sample
    bytes_then: float
    decode_speedup: float  # over all pictures, the unchanged among them


@dataclass(frozen=True)
class Unreadable:
    """A picture that cannot be decoded."""

    number: int
    key: str
    reason: str


@dataclass(frozen=True)
class PictureStats:
    """Pictures of the sample. Levels run from 0 (black) to 1 (white)."""

    sample: int
    readable: int
    unreadable: Share
    unreadable_reasons: Mapping[str, int]
    bytes_total: float  # of all pictures of the corpus: exact when all were read, else estimated
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    shorter_side: Histogram
    aspect: Histogram  # width over height
    bytes_per_pixel: Histogram
    megapixels: float  # on average
    milliseconds: Histogram  # of one core to decode one at its full size
    per_second: float  # pictures that one core decodes
    train_size: int
    smaller_than_training: Share  # shorter side: they are enlarged
    twice_training: Share  # shorter side more than twice the training size
    extreme_shape: Share  # longer side more than three times the shorter
    animated: Share
    gray: Share
    blank: Share
    low_entropy: Share
    brightness: Histogram
    contrast: Histogram  # standard deviation of the brightness within a picture
    entropy: Histogram  # bits of the distribution of brightness within a picture
    channel_mean: tuple[float, ...]  # red, green, blue; every picture counts alike, as in training
    channel_std: tuple[float, ...]
    model_mean: tuple[float, ...]  # what the models subtract
    model_std: tuple[float, ...]
    sizes: tuple[tuple[int, int], ...]  # width and height of some


@dataclass(frozen=True)
class Repeats:
    """Pictures that come again within the sample: in the whole corpus there are more."""

    same_bytes: Share
    near_copies: Share  # look like an earlier picture of the sample
    pairs: tuple[tuple[int, int], ...]  # numbers of some that look alike


@dataclass(frozen=True)
class Common:
    """A caption or a word, and how often it occurs."""

    text: str
    count: int


@dataclass(frozen=True)
class SharedCaptions:
    """What a contrastive batch drawn at random is expected to hold; means over all batches of that size."""

    batch: int
    pairs: float  # pairs with whose caption another pair of the batch comes too
    share: float  # of the batch
    false_negatives: float  # ordered (picture, caption) of different pairs whose captions are equal
    per_pair: float


@dataclass(frozen=True)
class CaptionStats:
    """Captions of the pairs that were read; compared after CLIP's cleaning (lower case, single spaces)."""

    pairs: int  # read
    captions: int
    without: Share  # pairs
    per_picture: Mapping[str, int]  # how many pairs have so many captions
    characters: Histogram
    words: Histogram
    tokens: Histogram  # of CLIP, start and end included
    context: int  # tokens that CLIP reads
    over_context: Share
    distinct: int
    repeated: Share  # captions that occur more than once
    common: tuple[Common, ...]
    word_count: int
    distinct_words: int
    once_words: int  # words that occur once
    common_words: tuple[Common, ...]
    growth: Curve  # captions drawn, distinct ones expected
    word_growth: Curve
    scripts: Mapping[str, int]  # captions by the script of most of their letters
    noise: Mapping[str, Share]  # captions that look like a URL, HTML, a file name, ...
    noise_examples: Mapping[str, str]
    letters: Share  # of all characters that are no white space
    splits: Mapping[str, int]  # by the field `split`
    fields: Mapping[str, int]  # what else is known, in how many pairs
    batches: tuple[SharedCaptions, ...]


@dataclass(frozen=True)
class Shown:
    """A picture of the contact sheet."""

    group: str
    number: int
    key: str
    caption: str
    note: str  # why it is shown, or what is wrong with it


@dataclass(frozen=True)
class Stats:
    """Everything."""

    about: About
    seed: int
    pictures: PictureStats
    shrink: Shrink | None  # None: nothing is large enough to be worth it
    repeats: Repeats
    captions: CaptionStats
    shown: tuple[Shown, ...]
    says: tuple[str, ...]  # what this says, in sentences
    seconds: float
    version: str
    page: str

    def lines(self) -> tuple[str, ...]:
        """The result for a terminal."""
        return (*self.says, f"pictures and figures: {self.page}")
