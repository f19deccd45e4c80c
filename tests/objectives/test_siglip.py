"""SigLIP's objective: algorithm 1, how it begins, what it measures, and two ranks against one."""

from __future__ import annotations

import math
from pathlib import Path

import processes
import pytest
import torch
import torch.distributed as dist
from fake_encoders import AROUND, IMAGE, fake_batch, fake_encodings
from safetensors.torch import load_file, save_file
from torch import Tensor

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.contrast import sigmoid_pairs
from sightword.objectives.clip import Clip
from sightword.objectives.siglip import Siglip
from sightword.towers.joint_space import JointSpace
from sightword.words import Batch, Encoded, Surroundings, Term, Words

RANKS, ROWS = 2, 3


def meeting_place() -> JointSpace:
    """A space of eight axes in which equal features of either side meet, with SigLIP's scale and bias."""
    joint = JointSpace(8, 8, 8, Siglip.contrast)
    with torch.no_grad():
        joint.image.weight.copy_(torch.eye(8))
        joint.text.weight.copy_(torch.eye(8))
    return joint


def score(image: Tensor, text: Tensor, joint: JointSpace) -> Term:
    siglip = Siglip(AROUND)
    tokens = torch.zeros(len(image), 1, 8)
    encoded = {"image": Encoded(image, tokens), "text": Encoded(text, tokens)}
    return siglip(encoded, fake_batch(siglip.wants, rows=len(image)), joint)


def twin(image: Tensor, text: Tensor, log_scale: Tensor, bias: Tensor) -> Tensor:
    """Algorithm 1, a pair at a time: features as the towers give them, t' and b as parameters."""
    total = image.new_zeros(())
    for i, x in enumerate(image):
        for j, y in enumerate(text):
            cosine = sum(a * b for a, b in zip(x, y, strict=True)) / (
                sum(a * a for a in x).sqrt() * sum(b * b for b in y).sqrt()
            )
            label = 1 if i == j else -1
            total = total - (1 / (1 + (-label * (log_scale.exp() * cosine + bias)).exp())).log()
    return total / len(image)


def with_gradients(loss: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("scale", "bias"), [(10.0, -10.0), (112.0, -16.0), (3.0, 0.5)])
def test_the_loss_and_its_gradients_are_algorithm_1(
    dtype: torch.dtype, near: float, scale: float, bias: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
    values += [torch.tensor([math.log(scale)]).double(), torch.tensor([bias]).double()]
    exact = [value.clone().requires_grad_() for value in values]
    expected = with_gradients(twin(*exact[:2], *(x[0] for x in exact[2:])), exact)
    ours = [value.to(dtype).requires_grad_() for value in values]
    image, text = (torch.nn.functional.normalize(x, dim=1) for x in ours[:2])
    found = with_gradients(sigmoid_pairs(image, text, ours[2].exp(), ours[3]), ours)
    for mine, true in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), true, rtol=near, atol=near)


def test_the_objective_is_algorithm_1_in_the_joint_space() -> None:
    siglip = Siglip(AROUND)
    torch.manual_seed(0)
    joint = JointSpace(AROUND.image.width, 20, 16, siglip.contrast)
    batch = fake_batch(siglip.wants)
    encoded = fake_encodings(siglip.wants, batch)
    image, text = encoded["image"].pooled, encoded["text"].pooled
    assert joint.logit_bias is not None
    inputs = [image, text, *joint.parameters()]
    found = with_gradients(siglip(encoded, batch, joint).loss, inputs)
    twice = joint.double()
    image, text = (x.detach().double().requires_grad_() for x in (image, text))
    inputs = [image, text, *twice.parameters()]
    projected = twice.image(image), twice.text(text)
    assert twice.logit_bias is not None
    expected = with_gradients(twin(*projected, twice.logit_scale[0], twice.logit_bias[0]), inputs)
    for mine, true in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), true, rtol=1e-4, atol=1e-4)


def test_it_begins_as_the_paper_and_has_no_cap_as_the_released_code() -> None:
    joint = JointSpace(8, 8, 8, Siglip.contrast)
    assert joint.logit_bias is not None
    assert (joint.scale().item(), joint.logit_bias.item()) == (pytest.approx(10), -10)
    spaces = {kind: JointSpace(8, 8, 8, kind.contrast) for kind in (Siglip, Clip)}
    for space in spaces.values():
        torch.nn.init.constant_(space.logit_scale, math.log(112))
        space.clamp_()
    assert spaces[Siglip].scale().item() == pytest.approx(112)
    assert spaces[Clip].scale().item() == pytest.approx(100)


def test_pairs_that_meet_are_told_from_pairs_that_do_not() -> None:
    term = score(torch.eye(8), 3 * torch.eye(8), meeting_place())
    assert term.metrics["image_to_text_accuracy"] == term.metrics["text_to_image_accuracy"] == 1
    assert float(term.metrics["pair_cosine"]) == pytest.approx(1)
    assert float(term.metrics["logit_scale"]) == pytest.approx(10)
    assert float(term.metrics["logit_bias"]) == -10
    right, wrong = math.log(2), math.log1p(math.exp(-10))  # logits 10 - 10 and 0 - 10
    assert float(term.loss.detach()) == pytest.approx(right + 7 * wrong, rel=1e-5)
    missed = score(torch.eye(8), torch.eye(8).roll(1, dims=0), meeting_place())
    assert missed.metrics["image_to_text_accuracy"] == missed.metrics["text_to_image_accuracy"] == 0


def test_each_way_is_counted_by_itself() -> None:
    """Both pictures are nearest to their own caption; the second caption is nearest to the first picture."""

    def at(*degrees: float) -> Tensor:
        angles = torch.tensor(degrees).deg2rad()
        return torch.stack([angles.cos(), angles.sin(), *torch.zeros(6, len(degrees))], dim=1)

    term = score(at(0, 40), at(0, 15), meeting_place())
    assert term.metrics["image_to_text_accuracy"] == 1
    assert term.metrics["text_to_image_accuracy"] == 0.5


def test_the_projections_the_scale_and_the_bias_learn_with_it() -> None:
    siglip = Siglip(AROUND)
    joint = JointSpace(AROUND.image.width, 20, 16, siglip.contrast)
    batch = fake_batch(siglip.wants)
    siglip(fake_encodings(siglip.wants, batch), batch, joint).loss.backward()
    names = [name for name, p in joint.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert set(names) == {"image.weight", "text.weight", "logit_scale", "logit_bias"}


def test_captions_are_needed() -> None:
    with pytest.raises(SightwordError, match="siglip learns from captions"):
        Siglip(Surroundings(IMAGE, None))


def step(rows: slice) -> dict[str, Tensor]:
    """Loss, gradients of every parameter, metrics and counts of some rows, averaged over ranks."""
    torch.manual_seed(0)
    siglip = Siglip(AROUND, classify=0.7)
    joint = JointSpace(AROUND.image.width, 20, 16, siglip.contrast)
    encoder = torch.nn.Linear(IMAGE.width, IMAGE.width)
    batch = fake_batch(siglip.wants, rows=RANKS * ROWS)
    encoded = fake_encodings(siglip.wants, batch)
    image, text = encoded["image"], encoded["text"]
    parts = {
        "image": Encoded(encoder(image.pooled[rows]), encoder(image.tokens[rows])),
        "text": Encoded(text.pooled[rows], text.tokens[rows]),
    }
    term = siglip(parts, _cut(batch, rows), joint)
    term.loss.backward()
    found = {"loss": distributed.mean(term.loss)}
    for module in (siglip, joint, encoder):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None
            found[f"{type(module).__name__}.{name}"] = distributed.mean(parameter.grad)
    found |= {f"metric {name}": distributed.mean(value) for name, value in term.metrics.items()}
    return found | dict(siglip.named_buffers())


def _cut(batch: Batch, rows: slice) -> Batch:
    captions = {c: Words(words.ids[rows], words.lengths[rows]) for c, words in batch.captions.items()}
    return Batch(0, batch.keys[rows], batch.ids[rows], 0, batch.views, captions)


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    save_file(step(slice(rank * ROWS, (rank + 1) * ROWS)), f"{folder}/rank{rank}.safetensors")
    dist.destroy_process_group()


def test_two_ranks_averaged_are_the_whole_batch(tmp_path: Path) -> None:
    """Every local picture meets the captions of both ranks, and both ranks count all words."""
    processes.start(worker, (str(tmp_path),), RANKS)
    alone = step(slice(None))
    for rank in range(RANKS):
        together = load_file(tmp_path / f"rank{rank}.safetensors")
        assert set(together) == set(alone)
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value.detach(), rtol=1e-4, atol=1e-5, msg=name)
    assert int(alone["words.captions"]) == RANKS * ROWS
