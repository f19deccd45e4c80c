"""The RN50 and the text transformer agree with open_clip's, with the same weights.

Without open_clip these skip; the twins elsewhere in this folder do not need it. Its files are loaded one by
one from where it is installed, because importing the package needs torchvision.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.towers.build import build_image, build_text
from sightword.words import Words

_SPEC = importlib.util.find_spec("open_clip")
pytestmark = pytest.mark.skipif(_SPEC is None, reason="open_clip is not installed")


def peer(name: str) -> types.ModuleType:
    """One file of open_clip, under a package of another name with an empty `utils`."""
    assert _SPEC is not None
    assert _SPEC.origin is not None
    package, utils = types.ModuleType("peer_open_clip"), types.ModuleType("peer_open_clip.utils")
    package.__path__ = [str(Path(_SPEC.origin).parent)]
    for needed in ("freeze_batch_norm_2d", "feature_take_indices", "to_2tuple"):
        setattr(utils, needed, None)
    sys.modules.update({package.__name__: package, utils.__name__: utils})
    return importlib.import_module(f"peer_open_clip.{name}")


def test_rn50():
    config = ImageTowerConfig(
        kind="modified-resnet",
        size=64,
        width=64,
        layers=(3, 4, 6, 3),
        heads=32,
        patch_size=32,
        pool="attention",
    )
    torch.manual_seed(0)
    theirs = (
        peer("modified_resnet")
        .ModifiedResNet([3, 4, 6, 3], output_dim=1024, heads=32, image_size=64)
        .double()
    )
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if "bn" in name or "downsample.1" in name:
                value.uniform_(0.5, 1.5) if value.is_floating_point() else value
    mine = build_image(config).double()
    mine.load_state_dict(theirs.state_dict())
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    for train in (False, True):
        expected = theirs.train(train)(mine.normalise(images))
        torch.testing.assert_close(mine.train(train)(images).pooled, expected, atol=1e-9, rtol=1e-9)


def test_text():
    torch.manual_seed(0)
    peers = peer("transformer")
    theirs = peers.TextTransformer(
        vocab_size=500, width=64, heads=4, layers=3, output_dim=None, act_layer=peers.QuickGELU
    ).eval()
    renamed = {
        name.replace("transformer.resblocks", "blocks")
        .replace("ln_final", "norm")
        .replace("attn.in_proj_", "attn.qkv.")
        .replace("attn.out_proj", "attn.proj")
        .replace("ln_", "norm")
        .replace("mlp.c_fc", "mlp.fc1")
        .replace("mlp.c_proj", "mlp.fc2"): value
        for name, value in theirs.state_dict().items()
    }
    mine = build_text(TextTowerConfig(width=64, layers=3, heads=4), vocab=500, pad=0, eot=499)
    mine.load_state_dict(renamed)
    ids = torch.randint(1, 499, (3, 77))
    lengths = torch.tensor([5, 77, 20])
    for row, n in enumerate(lengths.tolist()):
        ids[row, n - 1], ids[row, n:] = 499, 0
    torch.testing.assert_close(mine(Words(ids, lengths)).pooled, theirs(ids), atol=1e-5, rtol=1e-5)
