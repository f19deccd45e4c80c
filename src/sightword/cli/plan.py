"""`sightword plan`: works out what a run takes, says it, and refuses what does not fit."""

from __future__ import annotations

import json
import os
from typing import Any

from sightword import config as configuration
from sightword.cli import flags as train_flags
from sightword.cli.plan_flags import Plan
from sightword.config import Config
from sightword.errors import SightwordError


def run(flags: Plan) -> None:
    """Plan, and print.

    Raises:
        SightwordError: the run does not fit, or makes no sense.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # advice on speed that nobody here can take
    from sightword.planning import telling
    from sightword.planning.estimate import make_plan
    from sightword.planning.progress import telling_what

    config = _configured(flags)
    name = flags.recipe or config.objective
    asked = _asked(flags)
    with telling_what(f"plan {name}") as told:
        plan = make_plan(config, asked, told)
    record = telling.record(plan, name)
    if flags.dry_run and plan.fits:
        record |= _dry_run(plan, name)
    if flags.json:
        print(json.dumps(record))
    else:
        telling.show(plan, name, record.get("dry_run"))
    if not plan.fits:
        raise SightwordError(telling.refusal(plan))


def _dry_run(plan: Any, name: str) -> dict[str, Any]:
    from sightword.planning.dry_run import dry_run
    from sightword.planning.progress import telling_what

    with telling_what(f"dry run {name}") as told:
        return {"dry_run": dry_run(plan.config, plan.asked.gpus, plan.pairs, told)}


def _configured(flags: Plan) -> Config:
    """The run: of a recipe, of flags, or of a file that flags change."""
    from sightword.cli import configure, settings

    if flags.saved is None:
        return configure(flags.as_train())
    if flags.learning.model:
        raise SightwordError(f"{flags.saved} says which model it is; leave --model out")
    loaded = configuration.load(flags.saved)
    changed = configuration.override(loaded, train_flags.changes(flags.as_train()), "the flag for")
    return configuration.override(changed, settings(flags.set))


def _asked(flags: Plan) -> Any:
    from sightword.planning import devices
    from sightword.planning.estimate import MFU, Asked

    cluster, assumed = flags.cluster, flags.assumptions
    return Asked(
        gpus=cluster.gpus,
        device=devices.find(cluster.device, cluster.memory_gib, cluster.tflops),
        mfu=MFU if assumed.mfu is None else assumed.mfu,
        gpus_per_host=cluster.gpus_per_host,
        pairs=assumed.pairs,
        sample_bytes=assumed.sample_kb * 1e3,
        disk_rate=assumed.disk_gb_per_second * 1e9,
        price=assumed.price_per_hour,
        headroom=cluster.headroom,
    )
