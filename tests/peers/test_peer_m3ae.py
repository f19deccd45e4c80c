"""Our M3AE, trunk, decoder and loss, against what its released network answered (see record_m3ae.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from replaying import agree
from safetensors.torch import load_file
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.objectives.m3ae import M3ae
from sightword.towers.build import build_image
from sightword.towers.joint import JointTrunk
from sightword.towers.joint_decoder import JointDecoder
from sightword.towers.vit import ViT
from sightword.words import Batch, Surroundings, TextFacts, Words

Record = dict[str, Tensor]
POSITIONS = 1e-6  # they are computed in float32 there


@pytest.fixture(scope="module")
def recorded() -> Record:
    return load_file(Path(__file__).with_name("m3ae.safetensors"))


def renamed(record: Record, kind: str) -> dict[str, Record]:
    """Their weights (or gradients) by our modules' names."""
    theirs = {name.removeprefix(f"{kind}/"): x for name, x in record.items() if name.startswith(f"{kind}/")}
    bare = theirs.pop("image_embedding.kernel").view(4, 4, 3, 12)  # row, column, channel of a patch
    tower = {
        "stem.weight": bare.permute(3, 2, 0, 1).reshape(12, 48),
        "stem.bias": theirs.pop("image_embedding.bias"),
        "class_token": theirs.pop("cls_token"),
    }
    kind_of_patch = theirs.pop("encoder_image_type_embedding")[0, 0]
    if kind == "weight":
        tower["stem.bias"] = tower["stem.bias"] + kind_of_patch  # our stem's bias is both
    else:
        torch.testing.assert_close(tower["stem.bias"], kind_of_patch)  # each has the same gradient
    trunk = {
        "words.weight": theirs.pop("text_embedding.embedding"),
        "word_type": theirs.pop("encoder_text_type_embedding"),
    }
    decoder = {
        "mask_token": theirs.pop("image_mask_embedding"),
        "mask_word": theirs.pop("text_mask_embedding"),
        "patch_type": theirs.pop("decoder_image_type_embedding"),
        "word_type": theirs.pop("decoder_text_type_embedding"),
    }
    for name, ours in (
        ("decoder_input_projection", "embed"),
        ("decoder_image_output.Dense_0", "predict"),
        ("decoder_text_output.Dense_0", "vocabulary"),
    ):
        decoder[f"{ours}.weight"] = theirs.pop(f"{name}.kernel").T
        decoder[f"{ours}.bias"] = theirs.pop(f"{name}.bias")
    for side, mine in (("encoder.", tower), ("decoder.", decoder)):
        for name in [n for n in theirs if n.startswith(side)]:
            mine[_transformer(name.removeprefix(side))] = _turned(name, theirs.pop(name))
    assert not theirs, "every tensor of theirs has a place in ours"
    return {"tower": tower, "trunk": trunk, "decoder": decoder}


def _turned(name: str, x: Tensor) -> Tensor:
    return x.T if name.endswith("kernel") else x


def _transformer(name: str) -> str:
    if name.startswith("LayerNorm_0"):
        name = f"norm{name.removeprefix('LayerNorm_0')}"
    for theirs, ours in (
        ("Block_", "blocks."),
        ("LayerNorm_0", "norm1"),
        ("LayerNorm_1", "norm2"),
        ("Attention_0.Dense_0", "attn.qkv"),
        ("Attention_0.Dense_1", "attn.proj"),
        ("TransformerMLP_0", "mlp"),
        ("kernel", "weight"),
        ("scale", "weight"),
    ):
        name = name.replace(theirs, ours)
    return name


def use_positions(recorded: Record, tower: ViT, trunk: JointTrunk, decoder: JointDecoder) -> None:
    """Ours agree with theirs as float32 does; what is compared afterwards has theirs."""
    places = {
        "encoder.patches": tower.positions.weight,
        "encoder.words": trunk.positions,
        "decoder.patches": decoder.positions,
        "decoder.words": decoder.places,
    }
    theirs = {name: recorded[f"positions/{name}"].double() for name in places}
    agree("m3ae, positions", places, theirs, POSITIONS)
    for name, mine in places.items():
        mine.data = theirs[name]


def test_the_loss_its_parts_and_every_gradient_agree(recorded: Record) -> None:
    ids, lengths = recorded["in/ids"], recorded["in/lengths"]
    config = ImageTowerConfig(
        size=16,
        width=12,
        layers=(2,),
        heads=3,
        patch_size=4,
        positions="sincos",
        mean=tuple(recorded["in/mean"].tolist()),
        std=tuple(recorded["in/std"].tolist()),
    )
    tower = build_image(config)
    assert isinstance(tower, ViT)
    trunk = JointTrunk(tower, vocab=20, context=8)
    text = TextFacts(width=12, vocab=20, context=8, pad=0, eot=19, maskable=True)
    objective = M3ae(Surroundings(tower.facts, text), decoder_width=8, decoder_layers=1, decoder_heads=2)
    modules: dict[str, nn.Module] = {
        "tower": tower,
        "trunk": trunk,
        "decoder": objective.restoration.decoder,
    }
    for name, weights in renamed(recorded, "weight").items():
        modules[name].load_state_dict(weights)
    use_positions(recorded, tower, trunk, objective.restoration.decoder)
    words = Words(ids, lengths)
    batch = Batch(
        step=0,
        keys=("a", "b", "c", "d"),
        ids=torch.arange(4),
        epochs=0,
        views={objective.view: recorded["in/images"]},
        captions={objective.caption: words},
    )
    hidden, unread = recorded["out/hidden"].bool(), recorded["out/unread"].bool()
    assert not unread[torch.arange(4), lengths - 1].any(), "their mask leaves what we always see"
    assert unread.any()
    term = objective({"pair": trunk(recorded["in/images"], words, hidden, unread)}, batch, None)
    term.loss.backward()
    found = {"image_loss": term.metrics["pixel_loss"], "text_loss": term.metrics["word_loss"]}
    found["loss"] = term.loss
    agree("m3ae, value", found, {name: recorded[f"out/{name}"] for name in found})
    # flax's approximate GELU, with which the code was released, is what is left between us:
    assert term.loss.item() == pytest.approx(recorded["out/loss_as_released"].item(), rel=1e-4)
    gradients = {f"{k}.{n}": p.grad for k, m in modules.items() for n, p in m.named_parameters()}
    theirs = {f"{k}.{n}": g for k, part in renamed(recorded, "grad").items() for n, g in part.items()}
    agree("m3ae, gradients", gradients, theirs)
    assert sum(g.numel() for g in theirs.values()) > 5000
