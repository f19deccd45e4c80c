"""Models with random weights, in memory and as the directory of a run."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from safetensors import safe_open
from tiny_runs import TEXT, VIT

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.export.own_folder import OwnFolder
from sightword.pairs.words.siglip_tokenizer import Canon, SiglipTokenizer
from sightword.pairs.words.tokenizer import ClipTokenizer, LearnedTokenizer, Tokenizer
from sightword.training.model import Model, load_model
from sightword.training.setup import Equipment, build_encoders
from sightword.words import Contrast

PIECES = Path(__file__).resolve().parents[1] / "peers" / "siglip_pairs.safetensors"
SENTENCES = ["a red bus", "Two CATS, it's 50% of them", "straße · naïve", "one two three four five six seven"]


@cache
def tokenizer_of(kind: Literal["clip", "learned"], context: int = 16) -> Tokenizer:
    """CLIP's, or one learned from a few words; made once, which takes a second."""
    if kind == "clip":
        return ClipTokenizer(context=context)
    return LearnedTokenizer.train(SENTENCES * 3, vocab=320, context=context)


def model_of(
    image: ImageTowerConfig = VIT,
    text: TextTowerConfig | None = TEXT,
    words: Literal["clip", "learned"] = "learned",
    **changes: object,
) -> Model:
    """A model in evaluation mode; without a text tower it sees pictures alone."""
    kind = ModelConfig("small", image, text or TEXT, embed=16)
    kind = replace(kind, **changes)  # type: ignore[arg-type]
    tokenizer = tokenizer_of(words, kind.text.context)
    config = Config(model=kind, data=DataConfig(tokenizer=words), out="nowhere", precision="fp32")
    has = Equipment(text=text is not None, contrast=Contrast() if text is not None else None)
    encoders = build_encoders(kind, tokenizer, 0, has)
    _stir(encoders)
    return Model("small", config, encoders, tokenizer, "0123456789abcdef", (7, 56, 1e9), device="cpu")


SIGLIP = ImageTowerConfig(
    size=16,
    width=16,
    layers=(2,),
    heads=4,
    patch_size=4,
    activation="gelu_tanh",
    pool="attention",
    interpolation="bicubic",
    resize="squash",
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
)
SIGLIP_TEXT = TextTowerConfig(
    width=16, layers=1, heads=2, context=12, attention="padding-too", pool="last", eps=1e-4
)


def siglip_of(image: ImageTowerConfig = SIGLIP, canon: Canon = "hugging-face", bias: bool = True) -> Model:
    """A model of SigLIP's kind, with the small vocabulary that sentencepiece learned for a recording.

    Args:
        image: its image tower; the text tower is as wide.
        canon: how captions are made plain.
        bias: with a learned bias of the logits, as sigmoid losses have one.
    """
    with safe_open(PIECES, "pt") as recorded, TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(recorded.metadata()["tokenizer.json"], encoding="utf-8")
        tokenizer = SiglipTokenizer.from_file(file, SIGLIP_TEXT.context, canon)
    text = replace(SIGLIP_TEXT, width=image.width)
    kind = ModelConfig("siglip", image, text, image.width, project_image=False, project_text_bias=True)
    config = Config(model=kind, data=DataConfig(tokenizer="learned"), out="nowhere", precision="fp32")
    contrast = Contrast(bias=-10.0 if bias else None)
    encoders = build_encoders(kind, tokenizer, 0, Equipment(text=True, contrast=contrast))
    _stir(encoders)
    return Model("siglip", config, encoders, tokenizer, "0123456789abcdef", (7, 56, 1e9), device="cpu")


def run_of(folder: Path, model: Model | None = None) -> Path:
    """The directory of a run whose weights are these."""
    folder.mkdir(parents=True, exist_ok=True)
    OwnFolder().write(model or model_of(), folder)
    return folder


def loaded(folder: Path) -> Model:
    """The model of a directory."""
    return load_model(folder, "cpu")


@torch.no_grad()
def _stir(encoders: torch.nn.Module) -> None:
    """Nothing is left at what initialisation makes it: no bias is 0, no norm is plain."""
    generator = torch.Generator().manual_seed(1)
    for parameter in encoders.parameters():
        if parameter.numel() > 1:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    for name, buffer in encoders.named_buffers():
        if name.endswith("running_var"):
            buffer.add_(torch.rand(buffer.shape, generator=generator))
