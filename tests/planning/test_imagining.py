"""Imagined steps against real ones: memory by torch's own tracker, arithmetic by torch's own counter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.distributed._tools.mem_tracker import MemTracker
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.planning import ledger as purposes
from sightword.planning.imagining import Imagination
from sightword.planning.ledger import Ledger
from sightword.planning.rehearsal import rehearse
from sightword.training.caching import forward_backward
from sightword.training.counting import sample_flops, unlearned
from sightword.training.optimizer import make_optimizer
from sightword.training.pretrainer import Pretrainer
from sightword.training.setup import build_pretrainer
from sightword.training.together.engine import Engine
from sightword.words import Batch, Words

ROWS, CONTEXT = 8, 12
MODEL = ModelConfig(
    "tiny",
    ImageTowerConfig(size=64, width=48, layers=(3,), heads=4, patch_size=16),
    TextTowerConfig(width=32, layers=2, heads=4, context=CONTEXT),
    embed=16,
)
SIMCLR = "clip + simclr(hidden=32, out=16)"
MAE = "clip + mae(decoder_width=32, decoder_layers=1, decoder_heads=2)"
DISTILLATION = "clip + 0.1 * self-distillation(locals=2, hidden=32, bottleneck=16, out=64)"
M3AE = "m3ae(decoder_width=32, decoder_layers=1, decoder_heads=2)"
TRACKED = [SIMCLR, MAE, M3AE]  # torch's tracker cannot look into teachers, which have no gradient
OBJECTIVES = ["siglip", SIMCLR, MAE, M3AE, DISTILLATION]


def config(objective: str, **changes: object) -> Config:
    data = DataConfig(tokenizer="learned", vocab=300)
    plain = Config(objective=objective, model=MODEL, data=data, batch_size=ROWS, ranks=1, precision="bf16")
    return replace(plain, steps=10, **changes)  # type: ignore[arg-type]


def built(given: Config) -> tuple[Pretrainer, Batch]:
    """The real model, and a batch of noise with captions of full length."""
    torch.manual_seed(0)
    model = build_pretrainer(given, unlearned(given.data, CONTEXT))
    plan = model.plan(1.0)
    views = {v: torch.randint(0, 256, (ROWS, 3, v.size, v.size), dtype=torch.uint8) for v in plan.views()}
    words = Words(torch.ones(ROWS, CONTEXT, dtype=torch.long), torch.full((ROWS,), CONTEXT))
    keys = tuple(map(str, range(ROWS)))
    return model, Batch(0, keys, torch.arange(ROWS), 0, views, dict.fromkeys(plan.captions, words))


def autocast(given: Config) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16")


def really(given: Config) -> int:
    """Bytes at the peak of a second step, as torch's memory tracker sees them while it is computed."""
    model, batch = built(given)
    optimizer = make_optimizer(model, given.optimizer)

    def step() -> None:
        forward_backward(Engine(model), batch, 1.0, 1, autocast(given))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        model.after_step(1.0)

    step()
    tracker = MemTracker()
    tracker.track_external(model, optimizer)
    images = sum(view.nbytes for view in batch.views.values())
    with tracker:
        step()
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    return int(peak["Total"]) + images


@pytest.mark.parametrize("objective", TRACKED)
def test_memory_is_what_torch_tracks_of_a_real_step(objective: str) -> None:
    given = config(objective)
    assert rehearse(given, "cpu", metered=False).peak == pytest.approx(really(given), rel=0.02)


@pytest.mark.parametrize("changes", [{"precision": "fp32"}, {"grad_checkpointing": True}])
def test_so_it_is_in_float32_and_recomputed(changes: dict[str, object]) -> None:
    given = config("clip", **changes)
    assert rehearse(given, "cpu", metered=False).peak == pytest.approx(really(given), rel=0.02)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_flops_are_what_torch_counts_of_a_real_step(objective: str) -> None:
    given = config(objective)
    model, batch = built(given)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        forward_backward(Engine(model), batch, 1.0, 1, autocast(given))
    assert rehearse(given, "cpu").flops == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_cuda_computes_as_much_and_what_the_lists_of_costs_say() -> None:
    """Flash attention's backward multiplies once more; pairwise products are not in the lists."""
    given = config(SIMCLR)
    assert rehearse(given, "cuda").flops / ROWS == pytest.approx(sample_flops(given), rel=0.05)


def test_metering_a_step_takes_memory_and_is_not_counted() -> None:
    plain, metered = (rehearse(config(SIMCLR), metered=m) for m in (False, True))
    assert metered.peak > plain.peak
    assert metered.flops == plain.flops


def test_shapes_that_hang_on_values_are_right() -> None:
    """Masks, lengths and indices are computed; large numbers and fractions are not."""
    imagination = Imagination(Ledger())
    rows = imagination.imagine(torch.zeros(6, 5))
    mask = torch.tensor([True, False, True, True, False, False])
    lengths = torch.tensor([3, 1, 2])
    with imagination:
        assert rows[mask].shape == (3, 5)
        assert int(lengths.max()) == 3
        assert (torch.arange(4) < lengths[:, None]).sum(1).tolist() == [3, 1, 2]
        assert mask.nonzero()[:, 0].tolist() == [0, 2, 3]
        assert float(rows.sum()) == 1.0, "a healthy number"
        assert (rows @ rows.T).shape == (6, 6)
        large = torch.zeros(3000, 3000, dtype=torch.long)
    assert imagination.flops == 2 * 6 * 5 * 6
    assert large.shape == (3000, 3000)
    assert imagination.ledger.peak >= large.nbytes


def test_nothing_is_allocated() -> None:
    """Weights of 400 GB, which this machine could not hold."""
    wide = replace(MODEL, image=replace(MODEL.image, width=65536, heads=64, layers=(2,)))
    found = rehearse(replace(config("clip"), model=wide), metered=False)
    assert found.at_peak[purposes.WEIGHTS] > 4e11
