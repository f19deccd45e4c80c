"""Starting from weights from elsewhere: what a run takes of them, what starts fresh, what does not agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sightword.config import Config, ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.towers.adapters import plain
from sightword.training.pretrainer import Encoders, Pretrainer
from sightword.weights.borrowed import is_borrowed, open_borrowed
from sightword.weights.foreign import Foreign
from sightword.weights.sources import at_size, open_weights

# Of training alone, or not of the weights: positions are resized to another size.
_FREE = {"size", "drop_path", "mask_token", "freeze_stem"}
_OF_VIT = {"stem", "stem_bias", "pre_norm", "activation", "eps", "positions", "mlp_ratio"}
_OF_RESNETS = {"bottleneck"}
_SPACE = ("embed", "project_image", "project_text_bias")  # of the model itself
_SHOWN = 4  # differences in one line


@dataclass(frozen=True)
class Begun:
    """What a run began with, told to the user and recorded.

    weights: the file or folder, as it was given; family: whose.
    loaded, fresh, unused: parts of the model and of the weights, such as "image tower" or "joint.logit_bias".
    numbers: how many were loaded.
    notes: what was changed on the way, or taken for granted.
    """

    weights: str
    family: str
    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    numbers: int
    notes: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """What the user is told."""
        parts = " and ".join(self.loaded)
        rows = [f"starts from {self.weights} ({self.family}): {parts}, {self.numbers:,} numbers"]
        rows += [f"starts fresh: {', '.join(self.fresh)}"] if self.fresh else []
        rows += [f"not used of the weights: {', '.join(self.unused)}"] if self.unused else []
        return (*rows, *self.notes)

    def record(self) -> dict[str, Any]:
        """What stands in the run's first record."""
        return dataclasses.asdict(self)


def weights_of(config: Config) -> Foreign | None:
    """What `config.pretrained` names, with positions for the size of the run's pictures; None without it.

    Raises:
        SightwordError: when it cannot be read, or differs from the configuration.
    """
    if not config.pretrained:
        return None
    if config.init_from:
        raise SightwordError("both --init-from and --pretrained are given; give one of them")
    if is_borrowed(config.model):
        return open_borrowed(config.pretrained, config.model, config.data.vocab)
    weights = open_weights(config.pretrained, config.model.image)
    agree(config.model, weights)
    return at_size(weights, config.model.image.size)


def agree(wanted: ModelConfig, weights: Foreign) -> None:
    """See that a configuration is of the model that the weights are of, but for the size of pictures.

    Raises:
        SightwordError: naming both values of whatever differs, and how to put it right.
    """
    model = weights.model
    rows = list(_differences("model.image.", wanted.image, model.image, _uncounted(model.image)))
    if weights.has_text:
        _demand_context(wanted.text.context, model.text.context, weights)
        rows += _differences("model.text.", wanted.text, model.text, _FREE)
        space = {field.name for field in dataclasses.fields(model)} - set(_SPACE)
        rows += _differences("model.", wanted, model, space)
    if rows:
        shown = [(name, _toml(ours), _toml(theirs)) for name, ours, theirs in rows[:_SHOWN]]
        told = "; ".join(f"{name} is {theirs} there, {ours} here" for name, ours, theirs in shown)
        more = f"; and {len(rows) - _SHOWN} more" if rows[_SHOWN:] else ""
        remedy = " ".join(f"--set {name}={theirs}" for name, _, theirs in shown)
        raise SightwordError(
            f"the weights in '{weights.where}' ({weights.family}) are of another model: {told}{more}; leave"
            f" --model out, and all comes from the weights, or give {remedy}{' ...' if more else ''}"
        )


def _demand_context(wanted: int, found: int, weights: Foreign) -> None:
    if wanted != found:
        raise SightwordError(
            f"the weights in '{weights.where}' learned captions of {found} tokens, and model.text.context is"
            f" {wanted}; places of words cannot be resized: give --set model.text.context={found}"
        )


def start(encoders: Encoders, tokenizer: Tokenizer, weights: Foreign) -> None:
    """Put the weights into whatever of them the encoders have.

    Raises:
        SightwordError: when the captions are read with other words than the weights learned.
    """
    theirs = weights.tokenizer
    if "text" in encoders.towers and theirs is not None and theirs.digest != tokenizer.digest:
        raise SightwordError(
            f"the weights in '{weights.where}' learned words of another tokenizer ({theirs.vocab} ids,"
            f" and there are {tokenizer.vocab} here); give --tokenizer weights"
        )
    own = encoders.state_dict()
    encoders.load_state_dict({n: t for n, t in weights.tensors.items() if n in own}, strict=False)


def begun(model: Pretrainer, weights: Foreign) -> Begun:
    """What of the weights is in a model that `start` was given, and what of it is not."""
    own = plain(model.encoders)
    loaded = own.keys() & weights.tensors.keys()
    heads = [name for name, objective in model.objectives.items() if _trains(objective)]
    return Begun(
        weights=weights.where,
        family=weights.family,
        loaded=_parts(loaded, own),
        fresh=(*_parts(own.keys() - loaded, own), *(f"heads of {name}" for name in heads)),
        unused=_parts(weights.tensors.keys() - loaded, weights.tensors),
        numbers=sum(own[name].numel() for name in loaded),
        notes=(*weights.notes, *_cooled(model, weights)),
    )


def _cooled(model: Pretrainer, weights: Foreign) -> list[str]:
    joint, scale = model.encoders.joint, weights.tensors.get("joint.logit_scale")
    if joint is None or scale is None or float(scale.exp()) <= joint.most * (1 + 1e-5):
        return []
    return [f"logit_scale is {float(scale.exp()):.1f} in the weights; training holds it at {joint.most:.0f}"]


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _parts(names: Iterable[str], all_names: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of tensors as parts of the model: whole towers by one word, the rest one by one."""
    left, parts = set(names), list[str]()
    for prefix, said in (
        ("towers.image.", "image tower"),
        ("towers.text.", "text tower"),
        ("towers.joint.", "joint trunk"),
        ("joint.", "joint space"),
    ):
        here = {name for name in left if name.startswith(prefix)}
        others = {name for name in all_names if name.startswith(prefix)} - here
        # What comes with an objective does not make a tower another one.
        if here and all(name.endswith(("mask_token", "logit_bias")) for name in others):
            parts.append(said)
            left -= here
    return (*parts, *sorted(left))


def _uncounted(image: ImageTowerConfig) -> set[str]:
    """Fields that say nothing of this kind of tower, or need not agree."""
    others = _OF_RESNETS if image.kind == "vit" else _OF_VIT
    normless = {"norm"} if image.kind == "vit" and image.stem == "patch" else set[str]()
    return _FREE | others | normless


def _differences(prefix: str, wanted: Any, found: Any, but: set[str]) -> Iterable[tuple[str, Any, Any]]:
    for field in dataclasses.fields(found):
        ours, theirs = getattr(wanted, field.name), getattr(found, field.name)
        if field.name not in but and ours != theirs:
            yield prefix + field.name, ours, theirs


def _toml(value: Any) -> str:
    """As --set takes it."""
    if isinstance(value, tuple):
        return ",".join(_toml(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
