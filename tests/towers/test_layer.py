"""Layers that are computed again in backward: the same bits, an eighth of the memory; and drawn paths."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.towers.batch_norm import still_statistics
from sightword.towers.build import build_image, build_text
from sightword.towers.decoder import PatchDecoder
from sightword.towers.joint import JointTrunk
from sightword.towers.layer import Layer, recompute_blocks
from sightword.words import Encoded, Words

VIT = ImageTowerConfig(kind="vit", size=32, width=32, layers=(6,), heads=4, patch_size=4, drop_path=0.5)
RESNET = ImageTowerConfig(kind="resnet", size=32, width=16, layers=(3, 3), heads=2, patch_size=4, pool="gap")
RN50 = replace(RESNET, kind="modified-resnet", size=64, layers=(2, 1, 1, 1), patch_size=32, pool="attention")
TEXT = TextTowerConfig(width=32, layers=6, heads=4, context=20)
ROWS = 6


def words() -> Words:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 30, (ROWS, 20), generator=generator)
    return Words(ids, torch.tensor([20, 4, 9, 2, 15, 7]))


def pictures(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (ROWS, 3, size, size), generator=generator, dtype=torch.uint8)


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = build_text(TEXT, 30, 0, 1)

    def forward(self) -> Tensor:
        return self.tower(words()).pooled


class Images(nn.Module):
    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        self.tower = build_image(config)
        self.size = config.size

    def forward(self) -> Tensor:
        return self.tower(pictures(self.size)).pooled


class Pairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = build_image(VIT)
        self.trunk = JointTrunk(self.image, 30, 20)

    def forward(self) -> Tensor:
        return self.trunk(pictures(VIT.size), words()).tokens.mean(1)


class Painted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        facts = build_image(VIT).facts
        self.decoder = PatchDecoder(facts, 32, 6, 4)
        self.tokens = nn.Parameter(torch.randn(ROWS, 64, 32))

    def forward(self) -> Tensor:
        return self.decoder(Encoded(self.tokens.mean(1), self.tokens)).mean(1)


MODELS = {
    "vit": lambda: Images(VIT),
    "text": Text,
    "joint": Pairs,
    "decoder": Painted,
    "resnet": lambda: Images(RESNET),
    "modified-resnet": lambda: Images(RN50),
}


def pair(kind: str) -> tuple[nn.Module, nn.Module]:
    """A model and its copy that computes its layers twice."""
    torch.manual_seed(0)
    plain = MODELS[kind]()
    again = copy.deepcopy(plain)
    recompute_blocks(again)
    assert list(again.state_dict()) == list(plain.state_dict())
    return plain, again


def trained(module: nn.Module, precision: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Gradients and buffers after one step, in which random numbers were drawn."""
    torch.manual_seed(4)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        answer = module()
    answer.float().square().sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return gradients | dict(module.named_buffers()) | {"drawn after": torch.rand(3)}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_and_statistics_are_the_same_to_the_bit(kind: str, precision: torch.dtype) -> None:
    plain, again = pair(kind)
    wanted, found = trained(plain, precision), trained(again, precision)
    assert found.keys() == wanted.keys()
    assert len(wanted) > 10
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def kept_bytes(module: nn.Module) -> int:
    """What autograd keeps for the backward pass, parameters and buffers left out; each storage once."""
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        if x.untyped_storage().data_ptr() not in own:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    alive = []  # so that no address is given twice
    with torch.autograd.graph.saved_tensors_hooks(lambda x: alive.append(x) or keep(x), lambda x: x):
        answer = module()
    assert answer.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("kind", ["vit", "text", "joint", "decoder"])
def test_at_most_an_eighth_is_kept(kind: str) -> None:
    plain, again = pair(kind)
    assert kept_bytes(again) * 8 <= kept_bytes(plain)


@contextmanager
def counted_calls(module: nn.Module) -> Iterator[list[str]]:
    """The attention of a layer is called once when it is encoded, once more when it is recomputed."""
    calls: list[str] = []
    layers = [m for m in module.modules() if isinstance(m, Layer)]
    handles = [layer.norm1.register_forward_hook(lambda *_: calls.append("layer")) for layer in layers]
    yield calls
    for handle in handles:
        handle.remove()


def test_without_gradient_nothing_is_computed_twice() -> None:
    _, again = pair("vit")
    with counted_calls(again) as calls:
        with torch.no_grad():
            again()
        assert len(calls) == 6
        again().sum().backward()
    assert len(calls) == 18


@pytest.mark.parametrize("kind", MODELS)
def test_a_graph_that_is_kept_can_be_gone_through_again(kind: str) -> None:
    """As each term's own gradient is asked beside the step's."""
    _, again = pair(kind)
    torch.manual_seed(4)
    loss, parameters = again().square().sum(), [p for p in again.parameters() if p.requires_grad]
    buffers = [b.clone() for b in again.buffers()]
    first = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert all(a is b or torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(again.buffers(), buffers, strict=True))


def test_a_frozen_layer_passes_gradients_on() -> None:
    plain, again = pair("vit")
    for module in (plain, again):
        module.tower.blocks[3].requires_grad_(False)
    wanted, found = trained(plain), trained(again)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("kind", ["resnet", "modified-resnet"])
def test_what_was_not_counted_at_first_is_not_counted_later(kind: str) -> None:
    """As feature caching does: encoded with still statistics, sent back outside."""
    plain, again = pair(kind)
    for module in (plain, again):
        with still_statistics(module):
            answer = module()
        answer.sum().backward()
    gradients = zip(plain.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in gradients if a.grad is not None)
    norms = [m for m in again.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 and norm.momentum == 0.1 for norm in norms)
    assert all(norm.track_running_stats and not norm.running_mean.any() for norm in norms)
