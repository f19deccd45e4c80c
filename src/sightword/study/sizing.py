"""How much of the data a study takes: sizes, held-out pairs and the batch, as asked or as fits."""

from __future__ import annotations

import torch

from sightword.errors import SightwordError

MOST_HELD_OUT, HELD_OUT_SHARE = 2000, 8  # pairs; one in so many
LADDER = 4  # sizes unasked, each half of the next
MOST_BATCH, LEAST_STEPS = 256, 4  # samples a step; steps in an epoch of the smallest size


def held_out_unasked(pairs: int) -> int:
    """Pairs to test on: one in eight, 2,000 at most."""
    return min(MOST_HELD_OUT, pairs // HELD_OUT_SHARE)


def sizes(text: str, left: int) -> tuple[int, ...]:
    """Sizes as a user writes them: `1e3,3e3,all`; nothing asked is four, each half of the next.

    Args:
        text: numbers joined by commas; `all` is what is left.
        left: pairs that may be learned from.

    Raises:
        SightwordError: one is no number of pairs, or more than there are.
    """
    if not text:
        return tuple(sorted({left // 2**i for i in range(LADDER)} - {0}))
    found = sorted({_size(part.strip(), left) for part in text.split(",") if part.strip()})
    if found and found[-1] > left:
        raise SightwordError(
            f"--sizes asks for {found[-1]:,} pairs, but {left:,} are there to learn from; write all, or fewer"
        )
    return tuple(found)


def batch_unasked(smallest: int) -> int:
    """The largest power of two, 256 at most, of which an epoch of the smallest size has four steps."""
    return min(MOST_BATCH, 1 << max(1, (smallest // LEAST_STEPS).bit_length() - 1))


def _size(text: str, left: int) -> int:
    if text == "all":
        return left
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (number >= 1 and number.is_integer()):
        raise SightwordError(f"--sizes wants numbers of pairs such as 1e3,3e3,all; found '{text}'")
    return int(number)


def model_unasked(here: bool) -> str:
    """A small model: one that learns fast on a CPU where runs are to train on this machine without a GPU."""
    return "resnet-tiny" if here and not torch.cuda.is_available() else "vit-tiny"
