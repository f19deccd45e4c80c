"""What a step holds, against arithmetic by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.planning import ledger as purposes
from sightword.planning.memory import needed
from sightword.planning.pretending import one_of
from sightword.planning.rehearsal import Rehearsed, rehearse
from sightword.planning.sizes import measure, without_contents

ROWS, WIDTH, HEADS, TOKENS = 8, 128, 4, 17
IMAGE = ImageTowerConfig(size=64, width=WIDTH, layers=(2,), heads=HEADS, patch_size=16)
TEXT = TextTowerConfig(width=64, layers=1, heads=2, context=12)
SIMCLR = "clip + simclr(hidden=32, out=16)"
PLAIN = Config(
    objective="clip",
    model=ModelConfig("tiny", IMAGE, TEXT, embed=16),
    data=DataConfig(tokenizer="learned", vocab=300),
    batch_size=ROWS,
    steps=10,
    precision="bf16",
)


def of_image(found: Rehearsed) -> int:
    (size,) = (size for name, size in found.at_peak.items() if name.startswith("image: "))
    return size


def layers(count: int, **changes: object) -> Config:
    image = replace(IMAGE, layers=(count,))
    return replace(PLAIN, model=replace(PLAIN.model, image=image), **changes)  # type: ignore[arg-type]


def test_a_layer_on_cuda_keeps_what_its_equations_say() -> None:
    """By hand, bytes of a token of width w.

    In float32 the inputs of both norms, 4 w each; in bfloat16 those of the four linear maps, 2 w, 2 w (what
    attention answers), 2 w and 8 w; queries, keys and values, 6 w; GELU's input, 8 w. Beside these the mean
    and the deviation of each norm, and the logarithm of each head's sum, 4 bytes each.
    """
    found = [rehearse(layers(n), metered=False) for n in (3, 4)]
    token = (4 + 4 + 2 + 2 + 2 + 8 + 6 + 8) * WIDTH + 4 * 4 + 4 * HEADS
    assert of_image(found[1]) - of_image(found[0]) == pytest.approx(ROWS * TOKENS * token, rel=0.01)


def test_recomputed_layers_keep_their_input_alone() -> None:
    rows = 1024  # so many that the peak is where backward begins
    changes = {"grad_checkpointing": True, "batch_size": rows}
    found = [rehearse(layers(n, **changes), metered=False) for n in (4, 6)]
    kept = 4 * rows * TOKENS * WIDTH
    assert of_image(found[1]) - of_image(found[0]) == pytest.approx(2 * kept, rel=0.01)


def test_weights_and_moments_are_four_bytes_each() -> None:
    sizes = measure(PLAIN)
    found = rehearse(PLAIN, "cpu")
    assert found.state[purposes.WEIGHTS] == 4 * sizes.total
    steps = 4 * len(list(without_contents(PLAIN).parameters()))  # each parameter counts its own
    assert found.state[purposes.OPTIMIZER] == 2 * 4 * sizes.trained + steps


def test_teachers_and_averages_are_copies() -> None:
    config = replace(PLAIN, objective="mocov3(hidden=32, out=16)")
    config = replace(config, optimizer=replace(config.optimizer, ema=0.99))
    sizes = measure(config)
    image = sizes.parameters["image tower"]
    assert sizes.parameters["teachers"] == sizes.parameters["average of the weights"] == image
    assert rehearse(config, "cpu").state[purposes.TEACHERS] > 2 * 4 * image


def test_copies_send_buckets_and_pieces_share_the_weights() -> None:
    sizes, config = measure(PLAIN), replace(PLAIN, ranks=4)
    with one_of(4, 3):
        copies = rehearse(replace(config, parallel="ddp"), "cpu")
    with one_of(4, 3):
        pieces = rehearse(replace(config, parallel="fsdp"), "cpu")
    assert copies.state[purposes.BUCKETS] == pytest.approx(4 * sizes.trained, rel=0.01)
    assert purposes.BUCKETS not in pieces.state
    for purpose in (purposes.WEIGHTS, purposes.OPTIMIZER):
        assert pieces.state[purpose] == pytest.approx(copies.state[purpose] / 4, rel=0.1)
    assert purposes.GATHERED not in pieces.state, "between steps nobody holds what is another's"
    assert pieces.at_peak[purposes.GATHERED] > 0


@pytest.mark.slow
def test_many_chunks_are_told_from_few() -> None:
    config = replace(PLAIN, batch_size=40, chunk=4)
    told, whole = needed(config, 1), rehearse(config)
    assert told.most.peak == pytest.approx(whole.peak, rel=0.01)
    assert told.flops == pytest.approx(whole.flops / 40, rel=0.01)
    assert sum(told.most.at_peak.values()) == pytest.approx(told.most.peak, rel=0.01)


def test_late_objectives_count_when_they_come() -> None:
    early, late, never = (
        needed(replace(PLAIN, objective=objective), 1) for objective in (SIMCLR, SIMCLR + "@75%", "clip")
    )
    assert late.flops == pytest.approx(0.75 * never.flops + 0.25 * early.flops, rel=0.01)
    assert late.most.peak == pytest.approx(early.most.peak, rel=0.01)
    assert never.most.peak < late.most.peak
