"""Every contrast on two real processes: loss, gradients and shares of the whole batch, pieces or not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import processes
import pytest
import torch
import torch.distributed as dist
from fake_encoders import AROUND, IMAGE, TEXT, fake_batch, fake_encodings
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sightword import distributed
from sightword.losses import contrast, strips, tiles
from sightword.objectives.base import Objective
from sightword.objectives.clip import Clip
from sightword.objectives.mocov3 import MocoV3
from sightword.objectives.siglip import Siglip
from sightword.objectives.simclr import Simclr
from sightword.towers.joint_space import JointSpace

RANKS, ROWS, CHUNK = 2, 5, 2
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "clip": lambda: Clip(AROUND),
    "clip(gather_with_grad=false)": lambda: Clip(AROUND, gather_with_grad=False),
    "siglip": lambda: Siglip(AROUND),
    "simclr": lambda: Simclr(AROUND, layers=2, hidden=9, out=6),
    "mocov3": lambda: MocoV3(AROUND, hidden=9, out=6),
}
SIDES = {"kept": sys.maxsize, "pieces": 0}  # the rows from which logits are made in pieces


def parts(objective: Objective) -> tuple[JointSpace, nn.ModuleDict]:
    """The space of a run, and an encoder for each tower."""
    joint = JointSpace(IMAGE.width, TEXT.width, 8, objective.contrast).double()
    with torch.no_grad():
        for projection in (joint.image, joint.text):
            projection.weight.mul_(3)
    encoders = {"image": nn.Linear(IMAGE.width, IMAGE.width), "text": nn.Linear(TEXT.width, TEXT.width)}
    return joint, nn.ModuleDict(encoders).double()


def step(name: str, rows: slice) -> dict[str, Tensor]:
    """Loss, metrics and the gradient of every parameter from some rows, averaged over ranks as DDP does."""
    torch.manual_seed(0)
    objective = OBJECTIVES[name]().double()
    joint, encoders = parts(objective)
    batch = fake_batch(objective.wants, rows=RANKS * ROWS)
    encoded = {}
    for want, one in fake_encodings(objective.wants, batch, dtype=torch.float64).items():
        tower = objective.wants[want].tower
        pooled = one.pooled.detach()[rows]
        student = objective.wants[want].teacher is None
        encoded[want] = replace(one, pooled=encoders[tower](pooled) if student else pooled)
    term = objective(encoded, batch, joint)
    term.loss.backward()
    found = {"loss": distributed.mean(term.loss)}
    found |= {f"metric {metric}": distributed.mean(value) for metric, value in term.metrics.items()}
    for module in (objective, joint, encoders):
        for place, parameter in module.named_parameters():
            if parameter.grad is not None:
                found[f"{type(module).__name__}.{place}"] = distributed.mean(parameter.grad)
    return found


def every_step(rows: slice) -> dict[str, Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        for room in (tiles, strips):
            patch.setattr(room, "CHUNK", CHUNK)
        found = {}
        for side, large in SIDES.items():
            patch.setattr(contrast, "LARGE", large)
            for name in OBJECTIVES:
                answers = step(name, rows)
                found |= {f"{side}/{name}/{place}": value for place, value in answers.items()}
        return found


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    save_file(every_step(slice(rank * ROWS, (rank + 1) * ROWS)), f"{folder}/rank{rank}.safetensors")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("ranks")
    processes.start(worker, (str(folder),), RANKS)
    return [load_file(folder / f"rank{rank}.safetensors") for rank in range(RANKS)]


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("side", SIDES)
def test_two_processes_are_one(side: str, name: str, together: list[dict[str, Tensor]]) -> None:
    """What is logged is a mean over local rows, so that the mean over ranks is the batch's."""
    alone = {k: v for k, v in every_step(slice(None)).items() if k.startswith(f"{side}/{name}/")}
    assert len(alone) > 5
    if "false" in name:  # its gradient is another on purpose
        alone = {k: v for k, v in alone.items() if "metric" in k or k.endswith("/loss")}
    for found in together:
        for place, value in alone.items():
            torch.testing.assert_close(found[place], value.detach(), rtol=1e-12, atol=1e-13, msg=place)


@pytest.mark.parametrize("side", SIDES)
def test_without_gradient_features_of_all_ranks_are_constants(
    side: str, together: list[dict[str, Tensor]]
) -> None:
    """SLIP's CLIPLoss: its own rows, too, come back from gathering as constants."""
    torch.manual_seed(0)
    clip = Clip(AROUND)
    joint, encoders = parts(clip)
    given = fake_encodings(clip.wants, fake_batch(clip.wants, rows=RANKS * ROWS), dtype=torch.float64)
    features = [encoders[tower](given[tower].pooled.detach()) for tower in ("image", "text")]
    image, text = (
        x / x.norm(dim=1, keepdim=True)
        for x in (features[0] @ joint.image.weight.T, features[1] @ joint.text.weight.T)
    )
    total = torch.zeros(())
    for one, other in ((image, text), (text, image)):
        for i in range(RANKS * ROWS):
            likely = (joint.logit_scale.exp() * (other.detach() @ one[i])).exp()
            total = total - (likely[i] / likely.sum()).log() / (2 * RANKS * ROWS)
    total.backward()
    for found in together:
        prefix = f"{side}/clip(gather_with_grad=false)"
        assert found[f"{prefix}/loss"].item() == pytest.approx(total.item(), rel=1e-12)
        for kind, module in (("JointSpace", joint), ("ModuleDict", encoders)):
            for place, parameter in module.named_parameters():
                assert parameter.grad is not None
                ours = found[f"{prefix}/{kind}.{place}"]
                torch.testing.assert_close(ours, parameter.grad, rtol=1e-11, atol=1e-13, msg=place)
                exact = found[f"{side}/clip/{kind}.{place}"]
                assert place == "logit_scale" or not torch.allclose(ours, exact, rtol=1e-3, atol=0)


def test_shares_are_neither_all_nor_none(together: list[dict[str, Tensor]]) -> None:
    """Otherwise they would agree whatever was counted."""
    shares = [float(v) for k, v in together[0].items() if "accuracy" in k]
    assert len(shares) == len(SIDES) * 8
    assert any(0 < share < 1 for share in shares)
