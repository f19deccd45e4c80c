"""The colours of views on the device that trains: a task at a time for all the pictures that it concerns.

The definition is that of `colour`, `hue` and `blur`: whole levels after each step, float32 inside, by the
same operations one by one, so that nothing is fused and rounded otherwise. How much work there is stands in
`Task`, in the host's memory: nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from sightword.views.hue import CENTRES
from sightword.words import Batch, Colours

Levels: TypeAlias = Float32[Tensor, "n 3 s s"]  # whole, 0 to 255
Amounts: TypeAlias = Float32[Tensor, "n taps"]

# Values worked on at once, where float32 and its temporaries take some ten times four bytes each: on a
# processor what stays in its caches, elsewhere what fills the device and is little of its memory.
AT_ONCE = {"cpu": 2**19}
AT_ONCE_ELSEWHERE = 2**24
LUMA = (19595.0, 38470.0, 7471.0)  # ITU-R 601-2 in 2^-16, as PIL has it


def finished(batch: Batch) -> Batch:
    """The batch, that of other pictures in it as well, with nothing left to do to its views."""
    views = {
        view: finish(images, batch.finish[view]) if view in batch.finish else images
        for view, images in batch.views.items()
    }
    return replace(batch, views=views, finish={}, sight=finished(batch.sight) if batch.sight else None)


def finish(
    images: UInt8[Tensor, "b 3 s s"], colours: Colours, at_once: int | None = None
) -> UInt8[Tensor, "b 3 s s"]:
    """Cut pictures with their colours done: what `pipeline.recolour` makes of them.

    Args:
        images: pictures after crop, resizing and flip; left as they are.
        colours: what to do, on the same device.
        at_once: values in a block, which bounds memory; by default as fits the device.
    """
    out, room = images.clone(), at_once or AT_ONCE.get(images.device.type, AT_ONCE_ELSEWHERE)
    block = max(1, room // max(1, images[0].numel() if len(images) else 1))
    counts = [task.count for task in colours.tasks]
    for task, rows, amounts in zip(
        colours.tasks, colours.rows.split(counts), colours.amounts.split(counts), strict=True
    ):
        for some, by in zip(rows.split(block), amounts[:, : task.taps].split(block), strict=True):
            levels = _DO[task.what](out.index_select(0, some).float(), by)
            out.index_copy_(0, some, levels.to(torch.uint8))
    return out


def _brighten(x: Levels, by: Amounts) -> Levels:
    return x.mul_(_each(by)).clamp_(0, 255).floor_()


def _contrast(x: Levels, by: Amounts) -> Levels:
    """Away from the picture's mean gray, a whole level. Sums are of whole numbers: of any order the same."""
    pixels = x.shape[-1] * x.shape[-2]
    total = _gray(x).sum(dim=3, keepdim=True).long().sum(dim=2, keepdim=True)
    mean = (2 * total + pixels).div(2 * pixels, rounding_mode="floor")
    return _blend(x, mean.float(), by)


def _saturate(x: Levels, by: Amounts) -> Levels:
    """Away from each pixel's gray."""
    return _blend(x, _gray(x), by)


def _turn(x: Levels, by: Amounts) -> Levels:
    """As `hue.turn_real`, by at most one whole turn: no division by a number, which a GPU makes a product."""
    red, green, blue = x.unbind(1)
    high, low = torch.maximum(green, blue), torch.minimum(green, blue)
    second = (green < blue).float().mul_(6)
    side = (red < high).float().mul_(2 * second - 2).sub_(second)
    value, middle = torch.maximum(red, high), torch.minimum(red, high)
    chroma = value - torch.minimum(middle, low)
    hue = (middle - low).div_(chroma.clamp(min=1)).add_(side).abs_()
    hue.add_(6 * _each(by)[:, 0])
    hue.add_((hue < 0).float().mul_(6))
    hue.sub_((hue >= 6).float().mul_(6))
    for channel, centre in enumerate(CENTRES):
        away = (hue - centre).abs_()
        hidden = (2 - away if channel == 0 else away.sub_(1)).clamp_(0, 1).mul_(chroma)
        x[:, channel] = torch.sub(value, hidden).round_()
    return x


def _to_gray(x: Levels, by: Amounts) -> Levels:
    return _gray(x).expand_as(x)


def _blur(x: Levels, by: Amounts) -> Levels:
    """Down, then across, as `blur.blur`: the outermost pixels go on over the border."""
    reach = by.shape[1] - 1
    down = _slide(F.pad(x, (0, 0, reach, reach), mode="replicate"), by, 2)
    return _slide(F.pad(down, (reach, reach, 0, 0), mode="replicate"), by, 3).round_()


def _solarize(x: Levels, by: Amounts) -> Levels:
    return torch.minimum(x, 255 - x)


_DO: Mapping[str, Callable[[Levels, Amounts], Levels]] = {
    "brightness": _brighten,
    "contrast": _contrast,
    "saturation": _saturate,
    "hue": _turn,
    "gray": _to_gray,
    "blur": _blur,
    "solarize": _solarize,
}


def _each(by: Float32[Tensor, "n 1"]) -> Float32[Tensor, "n 1 1 1"]:
    return by[:, :, None, None]


def _blend(x: Levels, origin: Float32[Tensor, "n 1 _ _"], by: Amounts) -> Levels:
    return x.sub_(origin).mul_(_each(by)).add_(origin).clamp_(0, 255).floor_()


def _gray(x: Levels) -> Float32[Tensor, "n 1 s s"]:
    """PIL's mode L, to the bit: its whole-number arithmetic fits the 24 bits of a float32."""
    red, green, blue = (x[:, i : i + 1] * share for i, share in enumerate(LUMA))
    return red.add_(green).add_(blue).add_(2**15).mul_(2**-16).floor_()


def _slide(x: Float32[Tensor, "n 3 h w"], by: Amounts, along: int) -> Float32[Tensor, "n 3 _ _"]:
    """A symmetric kernel along a dimension, where it fits whole."""
    reach = by.shape[1] - 1
    length = x.shape[along] - 2 * reach
    weights = by[:, :, None, None, None].unbind(1)
    out = x.narrow(along, reach, length) * weights[0]
    for k in range(1, reach + 1):
        pair = x.narrow(along, reach - k, length) + x.narrow(along, reach + k, length)
        out.add_(pair.mul_(weights[k]))
    return out
