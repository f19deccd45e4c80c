"""The words that rooms say to each other: what may be asked of an encoder, and what comes back.

An objective *declares* what it wants encoded (`Encode`); training encodes it; the objective scores what
comes back (`Encoded`) and answers with a `Term`. Everything frozen here is data: equal means shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float32, Int, Int64, UInt8
from torch import Tensor

Source = Literal["pairs", "sight"]  # pictures with captions, or other pictures for self-supervision alone


@dataclass(frozen=True)
class Jitter:
    """Colour jitter as torchvision's `ColorJitter`: factors from [1-x, 1+x], hue from [-hue, hue] turns."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    p: float = 0.8


@dataclass(frozen=True)
class View:
    """How a picture becomes one training image. `draw` tells apart views of one kind (SimCLR's two)."""

    size: int  # pixels, square
    scale: tuple[float, float] = (0.5, 1.0)  # RandomResizedCrop's share of the area
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # RandomResizedCrop's aspect ratios
    flip: float = 0.0  # probability of a horizontal flip
    jitter: Jitter | None = None
    grayscale: float = 0.0  # probability
    blur: float = 0.0  # probability of a Gaussian blur
    sigma: tuple[float, float] = (0.1, 2.0)  # its standard deviation in pixels of the finished view
    solarize: float = 0.0  # probability of inverting every value >= 128
    draw: int = 0


@dataclass(frozen=True)
class Caption:
    """One caption of a sample, chosen by the data's policy; `draw` tells apart several of one sample."""

    draw: int = 0


@dataclass(frozen=True)
class Masking:
    """Which tokens are hidden from an encoder: dropped (MAE) or replaced by a mask token (BEiT)."""

    ratio: float  # share hidden
    kind: Literal["uniform", "block"] = "uniform"
    replace: bool = False
    draw: int = 0


@dataclass(frozen=True)
class Teacher:
    """A momentum teacher: t <- m t + (1 - m) student, m by a cosine from `momentum` to `end`."""

    momentum: float = 0.99
    end: float = 1.0


@dataclass(frozen=True)
class Encode:
    """One wish: encode this view (or caption) with this tower, seeing this much, as student or teacher."""

    tower: Literal["image", "text", "joint"]
    view: View | None = None
    caption: Caption | None = None
    keep: Masking | None = None  # hides patches of the view
    keep_words: Masking | None = None  # hides tokens of the caption
    teacher: Teacher | None = None  # None: the student
    source: Source = "pairs"  # set by training, never by an objective


@dataclass(frozen=True)
class Encoded:
    """What a tower answers.

    pooled: the tower's own feature, before any projection.
    tokens: patch (or word) tokens without the class token, in the order of `kept`.
    kept:   for each token, its position in the full grid (or caption); None when nothing was dropped.
    hidden: True where a position of the full grid (or caption) was hidden; None without masking.
    valid:  for text, True where a token is not padding; None for images.

    A joint encoding has the tokens of the picture first, then those of the caption; positions of the caption
    count on from the grid's. `towers.joint.parts` takes it apart.
    """

    pooled: Float[Tensor, "b d"]
    tokens: Float[Tensor, "b n width"]
    kept: Int[Tensor, "b n"] | None = None
    hidden: Bool[Tensor, "b full"] | None = None
    valid: Bool[Tensor, "b n"] | None = None


@dataclass(frozen=True)
class Words:
    """Tokenised captions: ids padded with `pad`, and how many are real (end-of-text included)."""

    ids: Int[Tensor, "b length"]
    lengths: Int[Tensor, " b"]

    def pin_memory(self) -> Words:
        """The same captions in memory that a GPU can read by itself."""
        return Words(self.ids.pin_memory(), self.lengths.pin_memory())

    def to(self, device: torch.device | str) -> Words:
        """The same captions on another device."""
        return Words(self.ids.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True))


@dataclass(frozen=True)
class Task:
    """One thing that is done to the colours of some of a view's pictures: a step of the jitter, or another.

    count: how many pictures.
    taps: numbers that each needs: a factor, a turn, or a blur's weights from the middle outwards.
    """

    what: Literal["brightness", "contrast", "saturation", "hue", "gray", "blur", "solarize"]
    count: int
    taps: int = 1


@dataclass(frozen=True)
class Colours:
    """What is still to be done to a view that has been cut but not coloured.

    tasks: one after the other. Each is done to the next `count` of `rows` by as many of `amounts`; a picture
        stands once in a task.
    """

    tasks: tuple[Task, ...]
    rows: Int64[Tensor, " n"]
    amounts: Float32[Tensor, "n most"]

    def pin_memory(self) -> Colours:
        """The same in memory that a GPU can read by itself."""
        return replace(self, rows=self.rows.pin_memory(), amounts=self.amounts.pin_memory())

    def to(self, device: torch.device | str) -> Colours:
        """The same on another device."""
        rows = self.rows.to(device, non_blocking=True)
        return replace(self, rows=rows, amounts=self.amounts.to(device, non_blocking=True))


@dataclass(frozen=True)
class Batch:
    """Everything of one step that does not come from a network."""

    step: int
    keys: tuple[str, ...]
    ids: Int[Tensor, " b"]  # global sample ids: what randomness is keyed by
    epochs: Int[Tensor, " b"] | int  # in which each sample is seen; one number where all share it
    views: Mapping[View, UInt8[Tensor, "b 3 h w"]]
    captions: Mapping[Caption, Words]
    seed: int = 0
    bad: tuple[tuple[str, str], ...] = ()  # (key, reason) of samples that were unreadable and replaced
    sight: Batch | None = None  # as many other pictures, where self-supervision has a source of its own
    seconds: Mapping[str, float] = field(default_factory=dict)  # what its making took, by stage
    finish: Mapping[View, Colours] = field(default_factory=dict)  # what is still to be done to views

    @property
    def epoch(self) -> int:
        """The earliest epoch in it."""
        return int(self.epochs.min()) if isinstance(self.epochs, Tensor) else self.epochs

    def pin_memory(self) -> Batch:
        """The same batch in memory that a GPU can read by itself; a DataLoader calls this."""
        return replace(
            self,
            views={view: images.pin_memory() for view, images in self.views.items()},
            captions={caption: words.pin_memory() for caption, words in self.captions.items()},
            sight=self.sight.pin_memory() if self.sight else None,
            finish={view: colours.pin_memory() for view, colours in self.finish.items()},
        )

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            ids=self.ids.to(device),
            views={view: images.to(device, non_blocking=True) for view, images in self.views.items()},
            captions={caption: words.to(device) for caption, words in self.captions.items()},
            sight=self.sight.to(device) if self.sight else None,
            finish={view: colours.to(device) for view, colours in self.finish.items()},
        )

    def of(self, source: Source) -> Batch:
        """The samples from one source."""
        if source == "pairs":
            return self
        assert self.sight is not None, "this step's batch was made without a second source"
        return self.sight


@dataclass(frozen=True)
class Term:
    """What an objective answers: a scalar to minimise, and numbers to log (detached scalars)."""

    loss: Float[Tensor, ""]
    metrics: Mapping[str, Tensor]


@dataclass(frozen=True)
class Contrast:
    """How an objective over pictures and captions begins the logits of the joint space."""

    scale: float = 1 / 0.07  # the factor of the cosine
    most: float = 100.0  # its upper limit (CLIP, arXiv 2103.00020, section 2.5)
    bias: float | None = None  # added to every logit, learned; None: none


@dataclass(frozen=True)
class ImageFacts:
    """What an objective may know of the image tower when it builds its heads."""

    width: int  # of `Encoded.pooled`
    token_width: int  # of `Encoded.tokens`
    size: int  # pixels
    grid: tuple[int, int]  # tokens down and across
    patch_size: int | None  # None: tokens are not patches of the picture (ResNet, convolutional stem)
    maskable: bool  # whether `keep` is understood
    mean: tuple[float, float, float]  # of the normalisation at its entry, in [0, 1]
    std: tuple[float, float, float]
    class_token: bool = False  # whether `Encoded.pooled` is a token of its own beside `Encoded.tokens`


@dataclass(frozen=True)
class TextFacts:
    """What an objective may know of the text tower when it builds its heads."""

    width: int
    vocab: int
    context: int
    pad: int
    eot: int
    maskable: bool


@dataclass(frozen=True)
class Surroundings:
    """What an objective is built into. `text` is None when the run has no captions."""

    image: ImageFacts
    text: TextFacts | None
