"""Run the peers' own losses once and store what they answered, for test_peer_losses.py.

    python tests/peers/record_losses.py --slip SLIP --mae mae --open-clip open_clip/loss.py \\
        --sources '{"slip": "facebookresearch/SLIP@c6faf5d", ...}'

with checkouts of facebookresearch/SLIP and facebookresearch/mae, and open_clip's loss.py. Nothing of
theirs is kept but numbers. float64 inputs and answers, so that agreement means equal mathematics.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import Tensor

Record = dict[str, Tensor]
COUNTS = ((196, 0.75), (49, 0.75), (64, 0.75), (64, 0.6), (256, 0.5), (16, 0.85))  # patches, ratio


def load(file: Path, *beside: Path) -> ModuleType:
    """A peer's module; timm, which only its networks need, is replaced by an empty one."""
    spec = importlib.util.spec_from_file_location(f"peer_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    absent = {name: mock.MagicMock() for name in ("timm", "timm.models", "timm.models.vision_transformer")}
    with mock.patch.dict(sys.modules, absent), mock.patch.object(sys, "path", [*map(str, beside), *sys.path]):
        spec.loader.exec_module(module)
    return module


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def answer(name: str, loss: Callable[..., Tensor], **inputs: Tensor) -> Record:
    """Inputs, the loss, and its gradient with respect to each input."""
    leaves = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    value = loss(**leaves)
    gradients = torch.autograd.grad(value, list(leaves.values()))
    record = {f"{name}/in/{key}": tensor for key, tensor in inputs.items()}
    record |= {f"{name}/grad/{key}": g for key, g in zip(inputs, gradients, strict=True)}
    return record | {f"{name}/loss": value.detach().double()}


def record_slip(root: Path) -> Record:
    peer = load(root / "losses.py", root)
    clip, simclr = peer.CLIPLoss(), peer.SIMCLRLoss(temperature=0.1)
    scale = torch.tensor(1 / 0.07, dtype=torch.float64)
    image, text = draw(12, 8, seed=0), draw(12, 8, seed=1)
    a, b = draw(12, 8, seed=2), draw(12, 8, seed=3)
    return answer(
        "slip.clip",
        lambda image, text, scale: clip({"image_embed": image, "text_embed": text, "logit_scale": scale})[
            "loss"
        ],
        image=image,
        text=text,
        scale=scale,
    ) | answer("slip.simclr", lambda a, b: simclr({"aug1_embed": a, "aug2_embed": b})["loss"], a=a, b=b)


def record_open_clip(file: Path) -> Record:
    peer = load(file)
    unit = torch.nn.functional.normalize
    scale, bias = (torch.tensor(x, dtype=torch.float64) for x in (10.0, -10.0))
    image, text = unit(draw(12, 8, seed=4), dim=-1), unit(draw(12, 8, seed=5), dim=-1)
    clip, siglip = peer.ClipLoss(), peer.SigLipLoss()
    return answer(
        "open_clip.clip",
        lambda image, text, scale: clip(image, text, scale),
        image=image,
        text=text,
        scale=scale,
    ) | answer(
        "open_clip.siglip",
        lambda image, text, scale, bias: siglip(image, text, scale, bias),
        image=image,
        text=text,
        scale=scale,
        bias=bias,
    )


def record_mae(root: Path) -> Record:
    kind = load(root / "models_mae.py", root).MaskedAutoencoderViT
    images = draw(3, 3, 12, 12, seed=6)
    predicted = draw(3, 9, 48, seed=7)
    mask = (draw(3, 9, seed=8) > 0).double()
    record = {"mae/in/images": images, "mae/in/mask": mask}
    for name, normalised in (("mae.plain", False), ("mae.normalised", True)):
        model: Any = SimpleNamespace(norm_pix_loss=normalised, patch_embed=SimpleNamespace(patch_size=(4, 4)))
        model.patchify = lambda x, model=model: kind.patchify(model, x)
        record |= answer(
            name,
            lambda predicted, model=model: kind.forward_loss(model, images, predicted, mask),
            predicted=predicted,
        )
        record["mae/patches"] = kind.patchify(model, images)
    hidden = [kind.random_masking(None, torch.zeros(1, n, 1), ratio)[1].sum() for n, ratio in COUNTS]
    return record | {
        "mae/hidden": torch.stack(hidden),
        "mae/counts": torch.tensor(COUNTS, dtype=torch.float64),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--slip", "--mae", "--open-clip"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--sources", type=json.loads, required=True, help="JSON: where from, at which commit")
    chosen = parser.parse_args()
    record = record_slip(chosen.slip) | record_open_clip(chosen.open_clip) | record_mae(chosen.mae)
    metadata = {name: str(source) for name, source in chosen.sources.items()}
    save_file(
        {k: v.contiguous().clone() for k, v in record.items()},
        Path(__file__).with_name("losses.safetensors"),
        metadata,
    )


if __name__ == "__main__":
    main()
