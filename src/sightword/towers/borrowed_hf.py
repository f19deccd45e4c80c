"""Towers of the `transformers` library: `--model hf:FOLDER`, `--text-model hf:FOLDER`.

The library's own configuration is kept in ours as JSON, so that a run is loaded again without the folder.
"""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import TextTower
from sightword.towers.borrowed import BorrowedImageTower, in_a_row, last_groups
from sightword.towers.borrowing import library
from sightword.words import Encoded, TextFacts, Words


class HfImageTower(BorrowedImageTower):
    """An image encoder of transformers. Its feature is the library's own pooled one, where it has one without
    a head that is learned for it; otherwise the class token, or the mean of the tokens where there is none.

    Raises:
        SightwordError: transformers cannot be imported, or knows no such encoder.
    """

    def __init__(self, config: ImageTowerConfig) -> None:
        shown = _shown(config.settings, config.size)
        super().__init__(_made(config.settings, "--model"), config, shown, f"the tower of {config.name}")
        self.any_size = _any_size(self.trunk)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `ImageTower`: the layers or stages."""
        return last_groups(self.trunk)

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        """See `ImageTower`; tokens are the last hidden state without what stands before the patches."""
        return _encoded(self.trunk, self.enter(images, hidden, self.any_size))


class HfTextTower(TextTower):
    """A caption encoder of transformers, pooled as `pool` says: "mean" of all real tokens, "class" the first
    of them, "eot" or "last" the last.

    Raises:
        SightwordError: transformers cannot be imported, knows no such encoder, or it reads fewer tokens.
    """

    def __init__(self, config: TextTowerConfig, vocab: int, pad: int, eot: int) -> None:
        trunk = _made(config.settings, "--text-model")
        own: Any = trunk.config
        _check_context(config, own)
        super().__init__(
            TextFacts(
                width=own.hidden_size,
                vocab=own.vocab_size,
                context=config.context,
                pad=pad,
                eot=eot,
                maskable=False,
            )
        )
        self.trunk, self.pool = trunk, config.pool

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `TextTower`."""
        return last_groups(self.trunk)

    def forward(
        self, words: Words, hidden: Bool[Tensor, "b length"] | None = None, replace: bool = False
    ) -> Encoded:
        """See `TextTower`; hiding words is a `SightwordError`."""
        if hidden is not None:
            raise SightwordError("a text tower of transformers cannot hide words; take one of this package")
        n = max(1, int(words.lengths.max()))
        valid = torch.arange(n, device=words.ids.device) < words.lengths[:, None]
        found = self.trunk(input_ids=words.ids[:, :n], attention_mask=valid.long())
        tokens = found.last_hidden_state
        return Encoded(self._pooled(tokens, valid), tokens, valid=valid)

    def _pooled(self, tokens: Float[Tensor, "b n w"], valid: Bool[Tensor, "b n"]) -> Float[Tensor, "b w"]:
        if self.pool == "class":
            return tokens[:, 0]
        if self.pool == "mean":
            return (tokens * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
        return tokens[torch.arange(len(tokens), device=tokens.device), valid.sum(1) - 1]


def shapes(settings: str, size: int) -> tuple[int, int]:
    """How wide an image encoder's feature is, and how many tokens it has."""
    shown = _shown(settings, size)
    return shown.pooled.shape[1], shown.tokens.shape[1]


def file_of(place: str, name: str, flag: str) -> Path:
    """A file of a folder; of a name on a hub, as transformers fetches and keeps it.

    Raises:
        SightwordError: there is none.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        if not (folder / name).is_file():
            raise SightwordError(
                f"'{place}' has no {name}; save the model there by transformers: save_pretrained"
            )
        return folder / name
    if place.startswith((".", "/", "~")) or place.count("/") != 1:
        raise SightwordError(f"{flag} hf:{place} is no folder, and no name on a hub, such as owner/model")
    hub: Any = library("transformers.utils.hub", f"{flag} hf:{place}", "transformers")
    try:
        return Path(hub.cached_file(place, name))
    except (OSError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise SightwordError(f"{name} of '{place}' cannot be fetched ({said}); give a folder") from error


def _made(settings: str, flag: str) -> nn.Module:
    """The library's model of a configuration, without pooling layers that nobody trains; seeded by torch."""
    transformers: Any = library("transformers", f"{flag} hf:...", "transformers")
    told = {name: value for name, value in json.loads(settings).items() if name != "auto_map"}  # foreign code
    try:
        config = transformers.AutoConfig.for_model(told.pop("model_type"), **told)
        kind = transformers.AutoModel
        try:
            made = kind.from_config(config, add_pooling_layer=False)
        except TypeError:  # not every model has that option
            made = kind.from_config(config)
    except (KeyError, ValueError, TypeError) as error:
        raise SightwordError(
            f"transformers cannot make the model of {flag}: {' '.join(str(error).split())[:200]}; give one"
            " that AutoModel knows, without code of its own"
        ) from error
    tower: nn.Module = made.get_encoder() if getattr(config, "is_encoder_decoder", False) else made
    return tower


@cache
def _shown(settings: str, size: int) -> Encoded:
    """What an encoder answers of one picture, as shapes."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        return _encoded(_made(settings, "--model").eval(), torch.zeros(1, 3, size, size))


def _any_size(trunk: nn.Module) -> bool:
    return "interpolate_pos_encoding" in inspect.signature(trunk.forward).parameters or not hasattr(
        trunk.config, "patch_size"
    )


def _encoded(trunk: Any, images: Float[Tensor, "b 3 h w"]) -> Encoded:
    takes = inspect.signature(trunk.forward).parameters
    more = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}
    answer = trunk(pixel_values=images, **more)
    found, pooled = answer.last_hidden_state, getattr(answer, "pooler_output", None)
    prefix = _prefix(trunk.config, found, images.shape[-1])
    tokens = in_a_row(found, prefix, channels_last=False)
    if pooled is None:
        pooled = found[:, 0] if prefix else tokens.mean(1)
    return Encoded(pooled.flatten(1), tokens)


def _prefix(config: Any, found: Tensor, size: int) -> int:
    """Tokens in front of the patches: class token and registers."""
    patch = getattr(config, "patch_size", None)
    if found.ndim == 4 or not isinstance(patch, int):
        return 0
    return max(0, found.shape[1] - (size // patch) ** 2)


def _check_context(config: TextTowerConfig, own: Any) -> None:
    places = getattr(own, "max_position_embeddings", config.context)
    room = places - (own.pad_token_id or 0) - 1 if own.model_type in _COUNTED_FROM_PADDING else places
    if config.context > room:
        raise SightwordError(
            f"the text tower of {config.name} reads {room} tokens, and model.text.context is"
            f" {config.context}; give --set model.text.context={room}"
        )


# Their first place is behind that of padding (fairseq's way), so that as many fewer remain.
_COUNTED_FROM_PADDING = ("roberta", "xlm-roberta", "camembert", "xmod", "mpnet")
