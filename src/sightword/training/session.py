"""Everything that a run holds while it trains, opened from its configuration."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from sightword import config as configuration
from sightword.config import Config
from sightword.errors import SightwordError
from sightword.pairs.order import Order
from sightword.pairs.quarantine import Quarantine
from sightword.pairs.sources import Pairs, open_pairs
from sightword.pairs.tokenizer import Tokenizer, load_tokenizer
from sightword.training.checkpoint import Saved, newest, restore
from sightword.training.feed import Steps
from sightword.training.optimizer import make_optimizer
from sightword.training.plan import EncodingPlan
from sightword.training.pretrainer import Pretrainer
from sightword.training.records import digest
from sightword.training.setup import build_pretrainer, choose_device, make_tokenizer, resolve_precision
from sightword.views.store import DecodedStore


@dataclass(frozen=True)
class Session:
    """An opened run: `start` steps are done, `total` are wanted."""

    config: Config
    out: Path
    pairs: Pairs
    order: Order
    tokenizer: Tokenizer
    model: Pretrainer
    optimizer: torch.optim.AdamW
    quarantine: Quarantine
    device: torch.device
    start: int
    total: int
    state: dict[str, float]  # what a checkpoint knows beside tensors: step, samples, flops
    notes: tuple[str, ...] = ()  # what a user should be told

    def progress(self, step: int) -> float:
        """The share of training done before a step."""
        return step / self.total

    def steps(self, store: DecodedStore | None) -> Steps:
        """The run's batches, indexed by step."""
        config, model, total = self.config, self.model, self.total
        plans = {start: model.plan(start) for start in {0.0, *(w.start for w in model.weighted)}}
        starts = sorted(plans)

        def plan(step: int) -> EncodingPlan:
            return plans[max(s for s in starts if s <= step / total)]

        return Steps(
            self.pairs,
            self.order,
            self.tokenizer,
            config.data.captions,
            config.batch_size,
            config.seed,
            plan,
            store,
        )


def begin(config: Config) -> Session:
    """A new run in an empty directory.

    Raises:
        SightwordError: when the directory already holds a run, or anything in the configuration does not fit.
    """
    out = Path(config.out)
    if (out / "config.toml").exists():
        raise SightwordError(
            f"'{out}' already holds a run; go on with: sightword train --resume {out}, or choose another --out"
        )
    config = dataclasses.replace(config, precision=resolve_precision(config))
    session = _open(config, out, None)
    out.mkdir(parents=True, exist_ok=True)
    session.tokenizer.save(out / "tokenizer.json")
    (out / "config.toml").write_text(configuration.to_toml(config), encoding="utf-8")
    return session


def resume(out: Path) -> Session:
    """A run as its newest whole checkpoint left it; from the beginning when it had not saved yet."""
    config = dataclasses.replace(configuration.load(out), out=str(out))
    saved, complaints = newest(out)
    session = _open(config, out, load_tokenizer(out / "tokenizer.json", config.model.text.context), saved)
    return dataclasses.replace(session, notes=tuple(complaints) + session.notes)


def _open(config: Config, out: Path, tokenizer: Tokenizer | None, saved: Saved | None = None) -> Session:
    split = config.data.split or ("train" if config.data.path == "demo" else "")
    pairs = open_pairs(config.data.path, split)
    order = Order(pairs.counts, config.seed, config.data.window)
    total = _total_steps(config, order.steps_per_epoch(config.batch_size))
    tokenizer = tokenizer or make_tokenizer(config, pairs)
    device = choose_device(config.device)
    model = build_pretrainer(config, tokenizer).to(device)
    optimizer = make_optimizer(model, config.optimizer)
    state: dict[str, float] = {"step": 0, "samples": 0, "flops": 0.0, "flops_per_step": 0.0}
    if saved:
        _same_data(saved, pairs.data_hash)
        restore(saved, model, optimizer)
        state |= {k: v for k, v in saved.state.items() if k in state}
    quarantine = Quarantine(out / "quarantine.jsonl", config.data.max_bad, len(pairs))
    return Session(
        config, out, pairs, order, tokenizer, model, optimizer, quarantine, device,
        int(state["step"]), total, state, _notes(config, model),
    )  # fmt: skip


def _same_data(saved: Saved, data_hash: str) -> None:
    before = saved.state.get("data_hash", data_hash)
    if before != data_hash:
        raise SightwordError(
            f"the data has changed since {saved.path} was saved (hash {before}, now {data_hash});"
            " bring the old data back, or start a new run"
        )


def _total_steps(config: Config, per_epoch: int) -> int:
    if config.steps and config.epochs:
        raise SightwordError("both --steps and --epochs are given; give one of them")
    total = config.steps or math.ceil(config.epochs * per_epoch)
    if total <= 0:
        raise SightwordError("the length of training is missing; give --steps N or --epochs N")
    return total


def _notes(config: Config, model: Pretrainer) -> tuple[str, ...]:
    mixing = [n for n, t in model.encoders.towers.items() if getattr(t, "mixes_batch", False)]
    if config.accum_freq > 1 and mixing:
        return (
            f"--accum-freq {config.accum_freq}: the losses see the whole batch, but the batch norms inside the"
            f" {mixing[0]} tower see {math.ceil(config.batch_size / config.accum_freq)} samples at a time",
        )
    return ()


def config_digest(config: Config) -> str:
    """A hash of what decides a run's numbers: not where it writes, nor who is told, nor how often it saves."""
    plain = dataclasses.replace(
        config, out="", report_to=(), save_every=0, save_minutes=0.0, keep_last=0, log_every=0,
        data=dataclasses.replace(config.data, workers=0, cache_mib=0, path=""),
    )  # fmt: skip
    return digest(configuration.to_toml(plain))
