"""The other sides of `step.py` and `gpu.py`: SLIP's own code and open_clip, stepped as by their programs."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peers"))

import torch
from _interop import MODEL, through_a_file
from _ours import Ours, Tensors
from _sides import _FEW, AbsentError, Side, counted
from _sizes import Size
from recording import load
from torch import Tensor, nn
from torchvision_schemas import load_torchvision

from sightword.training.matmul import multiplying
from sightword.weights import slip
from sightword.weights.clip_shapes import MEAN, STD
from sightword.weights.foreign import Foreign

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HEAD = {"ssl_mlp_dim": 4096, "ssl_emb_dim": 256}  # of SLIP's main.py
_LOG_100 = 4.6052  # where SLIP's main.py and CLIP's paper stop the scale
Loss = Callable[..., Tensor]


def imported(name: str) -> ModuleType:
    """A peer's package.

    Raises:
        AbsentError: it is not installed, or something that it needs.
    """
    try:
        load_torchvision()
        return importlib.import_module(name)
    except ImportError as error:
        raise AbsentError(f"{name} does not load ({error}); see docs/peers.md") from error


@cache
def slip_code(root: Path | None) -> ModuleType:
    """SLIP's models.py.

    Raises:
        AbsentError: no checkout was named, or timm is missing.
    """
    if root is None or not (root / "models.py").is_file():
        raise AbsentError("--slip must name a checkout of facebookresearch/SLIP, with its models.py")
    imported("timm.models.registry")
    with mock.patch.object(nn, "SyncBatchNorm", nn.BatchNorm1d):
        return load(root / "models.py", root)


def slip_model(root: Path | None, size: Size, kind: str) -> nn.Module:
    """SLIP's class on timm's ViT; its batch norms, which synchronise GPUs, are those of one process."""
    code, vit = slip_code(root), imported("timm.models.vision_transformer")
    torch.manual_seed(0)
    with mock.patch.object(nn, "SyncBatchNorm", nn.BatchNorm1d):
        visual = vit.VisionTransformer(**size.timm)
        model: nn.Module = getattr(code, kind)(vision_model=visual, **size.slip_text, **_HEAD)
    return model.train()


def slip_weights(model: nn.Module, size: Size) -> tuple[Tensors, Tensors | None]:
    """By our names: the encoders', and those of SimCLR's head."""
    tensors = model.state_dict()
    head = {k.removeprefix("image_mlp."): v for k, v in tensors.items() if k.startswith("image_mlp.")}
    places = {name: i for i, (name, _) in enumerate(model.image_mlp.named_children())} if head else {}
    own = {f"{places[k.partition('.')[0]]}.{k.partition('.')[2]}": v for k, v in head.items()}
    return slip.table(size.slip).inward(tensors, "SLIP's model"), own or None


def slip_side(root: Path | None, model: nn.Module, ours: Ours, precision: str) -> Side:
    """As SLIP's main.py: its loss, its AdamW, no gradient clipping, the scale's clamp."""
    kind, device = type(model).__name__, ours.session.device
    loss_of = slip_code(root).get_loss(kind, 0.1, 1.0)
    inputs = [ours.pixels("clip", "image"), ours.words.ids]
    inputs += [ours.pixels("simclr", want) for want in "ab"] if kind == "SLIP" else []
    ready = [x if x.dtype == torch.long else _normalised(x, *_IMAGENET) for x in inputs]
    own = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    still = [p for n, p in own if p.ndim < 2 or any(word in n for word in ("bias", "ln", "bn"))]
    rest = [p for n, p in own if not any(p is one for one in still)]
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": still, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-5, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.1)

    def loss(*given: Tensor) -> Tensor:
        answer: Tensor = loss_of(model(*given))["loss"]
        return answer

    return _side(f"SLIP's code {precision}", precision, model, loss, ready, optimizer, device)


def open_clip_model(size: Size) -> tuple[nn.Module, Foreign]:
    """open_clip's CLIP, and its weights by our names."""
    library = imported("open_clip")
    torch.manual_seed(0)
    config = size.open_clip
    model = library.CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"]).train()
    beside = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    return model, through_a_file(model.state_dict(), MODEL, {"open_clip_config.json": json.dumps(beside)})


def open_clip_side(model: nn.Module, ours: Ours, compile: bool = False) -> Side:
    """As open_clip_train with `--precision amp_bf16`: its ClipLoss, its AdamW, the scale's clamp."""
    loss_of, run = imported("open_clip.loss").ClipLoss(), torch.compile(model) if compile else model
    own = list(model.named_parameters())
    still = [
        p for n, p in own if p.ndim < 2 or any(word in n for word in ("bn", "ln", "bias", "logit_scale"))
    ]
    rest = [p for n, p in own if not any(p is one for one in still)]
    groups = [{"params": still, "weight_decay": 0.0}, {"params": rest, "weight_decay": 0.2}]
    optimizer = torch.optim.AdamW(groups, lr=1e-5, betas=(0.9, 0.98), eps=1e-6)
    ready = [_normalised(ours.pixels("clip", "image"), MEAN, STD), ours.words.ids]

    def loss(*given: Tensor) -> Tensor:
        image, text, scale = run(*given)[:3]
        answer: Tensor = loss_of(image, text, scale)
        return answer

    name = f"open_clip amp_bf16{' compiled' if compile else ''}"
    return _side(name, "bf16", model, loss, ready, optimizer, ours.session.device)


def _side(
    name: str,
    precision: str,
    model: nn.Module,
    loss: Loss,
    inputs: list[Tensor],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> Side:
    """A step as both programs take it; matrix products of float32 as torch does them unasked."""
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
    model.to(device)

    def step() -> None:
        with multiplying("highest"):
            with autocast:
                found = loss(*inputs)
            found.item()  # both programs look at it in every step
            found.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            with torch.no_grad():
                model.logit_scale.clamp_(0, _LOG_100)

    def first() -> tuple[float, float]:
        with multiplying("highest"):
            found = loss(*inputs)
            found.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        optimizer.zero_grad(set_to_none=True)
        return float(found.detach()), float(norm)

    def few() -> Any:
        loss(*(x[:_FEW] for x in inputs)).backward()
        optimizer.zero_grad(set_to_none=True)

    return Side(name, precision, step, first, counted(few, len(inputs[0])), len(inputs[0]))


def _normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Before the clock starts: these programs' loaders do it."""
    shape = (1, 3, 1, 1)
    middle, spread = (torch.tensor(one, device=images.device).view(shape) for one in (mean, std))
    return (images.float() / 255 - middle) / spread
