"""What of the towers learns in a run: all, the last layers, adapters, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.towers.adapters import adapt
from sightword.towers.base import ImageTower, TextTower
from sightword.towers.locking import learns, lock
from sightword.training.pretrainer import Encoders, Weighted
from sightword.training.seeding import seeded


def hold(encoders: Encoders, weighted: Sequence[Weighted], config: Config) -> None:
    """Lock what is to be locked, and put adapters where they are asked for.

    The projections into the joint space go on to learn. Deviation: open_clip locks them as well, they are the
    first of its unlocked groups; here they may be fresh, and a fresh one must learn. N groups there are
    N - 1 here.

    Raises:
        SightwordError: the flags contradict each other or the model, or an objective has nothing to teach.
    """
    _check(config)
    for name, locked, unlocked in _asked(config):
        tower = dict(encoders.towers.items()).get(name)
        if locked and tower is None:
            raise SightwordError(
                f"--lock-{name} locks a tower that '{config.objective}' does not have; leave it out"
            )
        if tower is not None and locked:
            lock(_a_tower(tower), unlocked)
        elif tower is not None and name in _adapted(config):
            with seeded(config.seed, "adapters", name):
                adapt(_a_tower(tower), config.lora.rank, config.lora.alpha or float(config.lora.rank))
    _demand_pupils(encoders, weighted)


def said(config: Config, encoders: Encoders, loaded: Sequence[str], fresh: bool) -> tuple[str, ...]:
    """What the user is told of it.

    Args:
        config: of the run.
        encoders: as `hold` left them.
        loaded: towers that begin with weights from elsewhere, as `image tower`.
        fresh: the run begins now.
    """
    lines = []
    for name, locked, unlocked in _asked(config):
        if locked:
            groups = len(_a_tower(encoders.towers[name]).groups)
            rest = f" but for the last {unlocked} of its {groups} groups" if unlocked else ""
            lines.append(f"the {name} tower is locked{rest}: it computes what it computed")
            if fresh and f"{name} tower" not in loaded:
                lines.append(f"warning: the weights of the locked {name} tower are drawn, not given")
    kept = [name for name in _adapted(config) if name in encoders.towers]
    lines += [f"of the {name} tower only adapters of rank {config.lora.rank} learn" for name in kept]
    return tuple(lines)


def _asked(config: Config) -> tuple[tuple[str, bool, int], ...]:
    lock = config.lock
    return ("image", lock.image, lock.image_unlocked_groups), ("text", lock.text, lock.text_unlocked_layers)


def _adapted(config: Config) -> tuple[str, ...]:
    return config.lora.on if config.lora.rank else ()


def _a_tower(module: nn.Module) -> ImageTower | TextTower:
    assert isinstance(module, ImageTower | TextTower), type(module)
    return module


def _check(config: Config) -> None:
    lora = config.lora
    if lora.rank < 0 or lora.alpha < 0:
        raise SightwordError(
            f"--lora-rank is {lora.rank} and --lora-alpha {lora.alpha:g}; give 0 or more of both"
        )
    for name, locked, unlocked in _asked(config):
        if unlocked and not locked:
            raise SightwordError(
                f"{unlocked} groups of the {name} tower are to stay unlocked, but it is not locked;"
                f" give --lock-{name}"
            )
        if locked and name in _adapted(config):
            raise SightwordError(
                f"--lora-rank and --lock-{name} are both given: adapters keep the {name} tower's weights"
                f" already; leave --lock-{name} out, or name the other tower by --lora-on"
            )


def _demand_pupils(encoders: Encoders, weighted: Sequence[Weighted]) -> None:
    if learns(encoders.towers["image"]):
        return
    for one in weighted:
        wants = one.objective.wants.values()
        if all(want.caption is None for want in wants):
            raise SightwordError(
                f"'{one.name}' reads no captions, so it can teach the image tower alone, and that is locked;"
                " leave it out, or unlock some of the tower by --lock-image-unlocked-groups"
            )
