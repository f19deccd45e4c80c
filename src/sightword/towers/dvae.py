"""DALL-E's discrete autoencoder as a visual tokenizer, from the weights that OpenAI published."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.towers.visual_tokenizer import VisualTokenizer, read_weights, stripped

_STEP = 8  # pixels across that a code stands for
_EDGE = 0.1  # pixels in [0, 1] are brought into [edge, 1 - edge] (appendix A.3, "logit-Laplace")
_GROUPS = 4
_ROWS = 32  # pictures at once: 32 of 112 pixels need about 0.5 GB
_PICKLED = (  # every class in the published encoder.pkl
    "dall_e.encoder.Encoder",
    "dall_e.encoder.EncoderBlock",
    "dall_e.utils.Conv2d",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.pooling.MaxPool2d",
)


class DalleTokenizer(VisualTokenizer):
    """The encoder of DALL-E's dVAE (Ramesh et al. 2021, arXiv 2102.12092, appendix A.1), BEiT's tokenizer.

    Facts from the released code: a 7x7 convolution; four groups of two residual blocks whose widths double,
    2x2 max pooling after the first three; ReLU and a 1x1 convolution to the logits of the codes; the
    largest is the code. Names in the state dict are those of the published weights, with `weight` and
    `bias` for their `w` and `b`.

    BEiT (arXiv 2106.08254, section 2.1) gives it a picture of 112 pixels for a grid of 14. Deviation: BEiT's
    code cuts both pictures from the original, this one is resized from the tower's view. Deviation: the
    released code computes in float16 on a GPU, this in float32 everywhere, so that codes are the same.

    Args:
        grid: codes down and across.
        width: channels of the first group.
        size: how many codes there are.
    """

    landmark = "blocks.input.weight"

    def __init__(self, grid: tuple[int, int], width: int = 256, size: int = 8192) -> None:
        super().__init__()
        self.grid, self.size = grid, size
        parts: OrderedDict[str, nn.Module] = OrderedDict(input=nn.Conv2d(3, width, 7, padding=3))
        for group in range(_GROUPS):
            parts[f"group_{group + 1}"] = _group(group, width)
        last = nn.Conv2d(width * 2 ** (_GROUPS - 1), size, 1)
        parts["output"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=last))
        self.blocks = nn.Sequential(parts)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: UInt8[Tensor, "b 3 h w"]) -> Int64[Tensor, "b n"]:
        """See `VisualTokenizer`; pictures of any size, which are resized to 8 pixels a code."""
        with torch.autocast(images.device.type, enabled=False):
            parts = [self.logits(self._pixels(part)).argmax(dim=1) for part in images.split(_ROWS)]
        return torch.cat(parts).flatten(1)

    def logits(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b codes down across"]:
        """The unnormalised log-probability of each code, for pixels as `map_pixels` leaves them."""
        answer: Tensor = self.blocks(pixels)
        return answer

    def _pixels(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 down across"]:
        pixels = images.to(self.blocks.get_parameter("input.weight").dtype) / 255
        wanted = (_STEP * self.grid[0], _STEP * self.grid[1])
        if images.shape[2:] != wanted:
            pixels = F.interpolate(pixels, wanted, mode="bilinear", antialias=True)
        return map_pixels(pixels)

    def _tensors(self, place: Path) -> Mapping[str, Tensor]:
        if place.is_file() and place.suffix != ".safetensors":
            return _renamed(read_pickled(place))
        return stripped(_renamed(read_weights(place)), self.landmark)


def map_pixels(pixels: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """From [0, 1] to what the dVAE was trained on, [0.1, 0.9]."""
    return (1 - 2 * _EDGE) * pixels + _EDGE


def read_pickled(file: Path) -> dict[str, Tensor]:
    """The tensors of the published `encoder.pkl`, a pickled module, by the names of its state dict.

    Nothing of it is executed: torch's restricted unpickler gets an inert stand-in for each class that the
    published file has, and refuses any other.

    Raises:
        SightwordError: when it is missing, damaged, or holds anything else.
    """
    stand_ins = [(_StandIn, name) for name in _PICKLED]
    try:
        with torch.serialization.safe_globals(stand_ins):  # type: ignore[arg-type]
            module = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged or hostile file, the unpickler raises whatever comes
        raise SightwordError(
            f"'{file}' is not the published encoder.pkl of DALL-E ({_reason(error)}), and nothing else is"
            " unpickled; fetch it again, or try a safetensors file of its state dict"
        ) from error
    if not isinstance(module, _StandIn):
        raise SightwordError(
            f"'{file}' holds no module but {type(module).__name__}; try the published encoder.pkl of DALL-E,"
            " or a safetensors file of its state dict"
        )
    return _parameters(module, "")


class _StandIn:
    """Takes the place of a pickled module: keeps what the file says of it, and does nothing."""


class _Residual(nn.Module):
    """The identity, or a 1x1 convolution, plus a share of four convolutions, each after a ReLU."""

    def __init__(self, before: int, after: int, share: float) -> None:
        super().__init__()
        self.share = share
        self.id_path = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        hidden = after // 4
        sizes = ((before, hidden, 3), (hidden, hidden, 3), (hidden, hidden, 3), (hidden, after, 1))
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (first, second, kernel) in enumerate(sizes, 1):
            parts[f"relu_{i}"] = nn.ReLU()
            parts[f"conv_{i}"] = nn.Conv2d(first, second, kernel, padding=kernel // 2)
        self.res_path = nn.Sequential(parts)

    def forward(self, x: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b _ h w"]:
        """Of the same height and width."""
        return self.id_path(x) + self.share * self.res_path(x)


def _group(number: int, width: int, blocks: int = 2) -> nn.Sequential:
    before, after = width * 2 ** max(0, number - 1), width * 2**number
    share = 1 / (_GROUPS * blocks) ** 2
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        (f"block_{i + 1}", _Residual(after if i else before, after, share)) for i in range(blocks)
    )
    if number < _GROUPS - 1:
        parts["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(parts)


def _parameters(module: object, prefix: str) -> dict[str, Tensor]:
    """Of a stand-in and those inside it, as `state_dict` would name them."""
    if not isinstance(module, _StandIn):
        return {}
    kept = vars(module)
    own = {f"{prefix}{n}": p.detach() for n, p in kept.get("_parameters", {}).items() if p is not None}
    for name, inner in kept.get("_modules", {}).items():
        own |= _parameters(inner, f"{prefix}{name}.")
    return own


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DALL-E's `w` and `b` as `weight` and `bias`."""
    ends = {"w": "weight", "b": "bias"}
    split = {name: name.rpartition(".") for name in tensors}
    return {f"{at}{dot}{ends.get(end, end)}": tensors[name] for name, (at, dot, end) in split.items()}


def _reason(error: Exception) -> str:
    """What torch's refusal is about, without its advice to load the file all the same."""
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it asks for {wanted[1]}" if wanted else "it cannot be read"
