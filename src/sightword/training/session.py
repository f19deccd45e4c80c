"""Everything that a run holds while it trains, opened from its configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from sightword import config as configuration
from sightword.config import Config, DataConfig
from sightword.distributed import rank, world_size
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.mixture import make_order
from sightword.pairs.order import Order, Ordering
from sightword.pairs.quarantine import Quarantine
from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.words.tokenizer import Tokenizer, load_run_tokenizer
from sightword.randomness import stream
from sightword.towers.layer import compile_blocks
from sightword.training import matmul
from sightword.training.checks import check, total_steps
from sightword.training.data import notes_of, own_pairs, sight_pairs
from sightword.training.disk import write_text, writing
from sightword.training.feed import Steps, open_store
from sightword.training.locked import said
from sightword.training.optimizer import make_optimizer
from sightword.training.plan import Timetable
from sightword.training.pretrained import Begun, begun, weights_of
from sightword.training.pretrainer import Pretrainer
from sightword.training.records import check_sinks, digest
from sightword.training.saving.checkpoint import Saved, newest, restore
from sightword.training.setup import (
    build_pretrainer,
    choose_colourer,
    choose_device,
    make_tokenizer,
    resolve_precision,
)
from sightword.training.together import ranks
from sightword.training.together.parallel import own_device, shard, shards
from sightword.views.store import DecodedStore


@dataclass(frozen=True)
class Session:
    """An opened run: `start` steps are done, `total` are wanted."""

    config: Config
    out: Path
    pairs: Pairs
    order: Ordering
    tokenizer: Tokenizer
    model: Pretrainer
    optimizer: torch.optim.AdamW
    quarantine: Quarantine
    device: torch.device
    start: int
    total: int
    state: dict[str, int | float]  # what a checkpoint knows beside tensors: step, samples, flops, seconds
    notes: tuple[str, ...] = ()  # what a user should be told
    fresh: bool = True  # nothing was saved yet
    sight: Pairs | None = None  # other pictures, for the terms without captions
    origin: Begun | None = None  # the weights from elsewhere that a fresh run has taken

    def progress(self, step: int) -> float:
        """The share of training done before a step, 0 to 1."""
        return step / self.total

    @property
    def float32_matmul(self) -> matmul.Mode | None:
        """How float32 matrices are multiplied where float32 trains; None where another precision does."""
        return matmul.full_accuracy(self.device) if self.config.precision == "fp32" else None

    @property
    def chunks(self) -> int:
        """Pieces in which each process encodes its rows of a batch."""
        config = self.config
        return math.ceil(self.rows / config.chunk) if config.chunk else config.accum_freq

    @property
    def rows(self) -> int:
        """Samples of a step that are this process's."""
        return self.config.global_batch // world_size()

    @property
    def data_hash(self) -> str:
        """Which pairs, and which other pictures."""
        return (
            self.pairs.data_hash
            if self.sight is None
            else digest(self.pairs.data_hash + self.sight.data_hash)
        )

    @property
    def transfers(self) -> Transfers:
        """What was fetched from elsewhere so far."""
        sources = [pairs for pairs in (self.pairs, self.sight) if pairs is not None]
        return sum((pairs.transfers for pairs in sources), Transfers())

    @property
    def unreadable(self) -> Iterator[tuple[str, str]]:
        """What was left out when the data was opened, for the manifest: key and reason."""
        yield from self.pairs.unreadable
        for key, reason in self.sight.unreadable if self.sight is not None else ():
            yield f"sight:{key}", reason

    def all_steps(self) -> Steps:
        """The run's batches; where the decoded pictures fit into memory they are decoded now, once."""
        room = self.config.data.cache_mib / ranks.on_this_host()
        store = open_store(self.pairs, room)
        if self.sight is None:
            return self.steps(store)
        left = room - (store.mib if store else 0)
        return self.steps(store, open_store(self.sight, left))

    def steps(self, store: DecodedStore | None, sight_store: DecodedStore | None = None) -> Steps:
        """The run's batches, indexed by step; a store holds pictures that are decoded already."""
        config = self.config
        starts = sorted({0.0, *(weight.start for weight in self.model.weighted)})
        timetable = Timetable(self.total, tuple((start, self.model.plan(start)) for start in starts))
        steps = Steps(
            self.pairs,
            self.order,
            self.tokenizer,
            config.data.captions,
            config.global_batch,
            config.seed,
            timetable,
            store,
            colour=choose_colourer(config, self.device),
            rank=rank(),
            ranks=world_size(),
        )
        if self.sight is None:
            return steps
        # As a run on these pictures alone reads them, so that the two are paired; but one place given twice
        # is read in another order, or a step would see the same pictures from both.
        same = config.data.sight == config.data.path or self.sight.data_hash == self.pairs.data_hash
        seed = stream("sight", config.seed) if same else config.seed
        order = Order(self.sight.counts, seed, config.data.window)
        other = dataclasses.replace(
            steps, pairs=self.sight, order=order, store=sight_store, source="sight", _texts={}
        )
        return dataclasses.replace(steps, sight=other)


def begin(config: Config) -> Session:
    """A new run in an empty directory, in all its processes.

    Raises:
        SightwordError: when the directory already holds a run, or anything in the configuration does not fit.
    """
    out = Path(config.out)
    ranks.first(lambda: _check_new(out, config))
    config = dataclasses.replace(
        config, precision=resolve_precision(config), ranks=config.ranks or world_size()
    )
    session = _open(config, out, None)
    ranks.first(lambda: _write_new(session))
    return session


def resume(out: Path) -> Session:
    """A run as its newest whole checkpoint left it; from the beginning when it had not saved yet.

    In any number of processes that the global batch can be divided by.

    Raises:
        SightwordError: when there is no run, its data has changed, or its checkpoint is of another model.
    """
    config = dataclasses.replace(configuration.load(out), out=str(out))
    check_sinks(config.report_to)
    saved, notes = ranks.first(lambda: newest(out))
    if saved is None:
        notes.append(f"{out} has no whole checkpoint yet; it starts from the beginning")
    elif saved.state.get("config_hash", config_digest(config)) != config_digest(config):
        notes.append(f"{out / 'config.toml'} was changed since {saved.path} was saved: another run now")
    session = _open(config, out, load_run_tokenizer(out, config), saved)
    return dataclasses.replace(session, notes=tuple(notes) + session.notes)


def _check_new(out: Path, config: Config) -> None:
    if (out / "config.toml").exists():
        raise SightwordError(
            f"'{out}' already holds a run; go on with: sightword train --resume {out},"
            " or choose another --out"
        )
    check_sinks(config.report_to)


def _write_new(session: Session) -> None:
    with writing(session.out):
        session.out.mkdir(parents=True, exist_ok=True)
        session.tokenizer.save(session.out / "tokenizer.json")
    # Last: with it, the run is there.
    write_text(session.out / "config.toml", configuration.to_toml(session.config))


def _open(config: Config, out: Path, tokenizer: Tokenizer | None, saved: Saved | None = None) -> Session:
    check(config, world_size())
    pairs, sight = ranks.hosts_first(lambda: (own_pairs(config), sight_pairs(config)))
    order = make_order(pairs.counts, pairs.parts, config.data.upsampling, config.seed, config.data.window)
    if sight is not None:
        Order(sight.counts, config.seed, config.data.window).steps_per_epoch(
            config.global_batch
        )  # or says why
    total = total_steps(config, order.steps_per_epoch(config.global_batch))
    weights = ranks.all_well(lambda: weights_of(config)) if saved is None else None
    tokenizer = tokenizer or ranks.first(lambda: make_tokenizer(config, pairs, weights))
    device = choose_device(own_device(config.device))
    model = build_pretrainer(config, tokenizer, fresh=saved is None, weights=weights).to(device)
    origin = begun(model, weights) if weights is not None else None
    if config.compile:
        compile_blocks(model, device)
    if shards(config, model, device):
        shard(model, device)
    optimizer = make_optimizer(model, config.optimizer)
    state: dict[str, int | float] = {"step": 0, "samples": 0}
    state |= {"flops": 0.0, "flops_per_step": 0.0, "seconds": 0.0}
    if saved:
        state |= {k: v for k, v in saved.state.items() if k in state}
    quarantine = Quarantine(out / "quarantine.jsonl", config.data.max_bad, len(pairs) + len(sight or ()))
    session = Session(
        config, out, pairs, order, tokenizer, model, optimizer, quarantine, device,
        int(state["step"]), total, state, fresh=saved is None, sight=sight, origin=origin,
    )  # fmt: skip
    if saved:
        _same_data(saved, session.data_hash)
        restore(saved, model, optimizer)
    return dataclasses.replace(session, notes=_notes(session))


def _same_data(saved: Saved, data_hash: str) -> None:
    before = saved.state.get("data_hash", data_hash)
    if before != data_hash:
        raise SightwordError(
            f"the data has changed since {saved.path} was saved (hash {before}, now {data_hash});"
            " bring the old data back, or start a new run"
        )


def _notes(session: Session) -> tuple[str, ...]:
    origin = session.origin.lines() if session.origin else ()
    config, encoders = session.config, session.model.encoders
    loaded = session.origin.loaded if session.origin else ("image tower",) if config.init_from else ()
    held = said(config, encoders, loaded, session.fresh)
    data = notes_of(config.data, session.pairs, session.sight)
    return (*origin, *held, *data, *_mixing(session), *matmul.said(session.float32_matmul))


def _mixing(session: Session) -> tuple[str, ...]:
    towers = session.model.encoders.towers.items()
    mixing = [name for name, tower in towers if getattr(tower, "mixes_batch", False)]
    if session.chunks > 1 and mixing:
        size = math.ceil(session.rows / session.chunks)
        return (
            f"in {session.chunks} chunks the losses see the whole batch, but batch norms inside the"
            f" {mixing[0]} tower see {size} samples at a time",
        )
    return ()


def _same_reading(data: DataConfig) -> DataConfig:
    """Without what changes neither which samples there are nor how they are shown."""
    return dataclasses.replace(
        data, workers=0, cache_mib=0, max_bad=0.0, path="", sight="", image_root="", shard_cache_gib=0.0,
        loaders="auto",
        colour="auto",
    )  # fmt: skip


def config_digest(config: Config) -> str:
    """A hash of what decides a run's numbers: not where it writes, how often it saves, what it is scored on.

    The data's path is left out as well: its content has a hash of its own.
    """
    plain = dataclasses.replace(
        config, batch_size=config.global_batch, ranks=1,
        out="", report_to=(), save_every=0, save_minutes=0.0, keep_last=0, keep_best="", log_every=0,
        zeroshot_frequency=0, watch_on="", evaluate_on="",
        parallel="auto", grad_checkpointing=False, compile=False, hang_minutes=0.0,
        data=_same_reading(config.data),
    )  # fmt: skip
    return digest(configuration.to_toml(plain))
