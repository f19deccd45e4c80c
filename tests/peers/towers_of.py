"""What the tests of this folder share: towers with weights from elsewhere, and tiny models of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.pairs.words.tokenizer import ClipTokenizer, LearnedTokenizer, Tokenizer
from sightword.towers.build import build_image, build_text
from sightword.towers.joint_space import JointSpace
from sightword.weights.foreign import Foreign
from sightword.words import Contrast

TEXTS = ["a photo of a cat", "two dogs, and a bus!", "x"]
Tensors = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Towers:
    """Encoders of one model in evaluation mode, by the names of a run's weights."""

    modules: nn.ModuleDict
    tokenizer: Tokenizer | None

    @torch.no_grad()
    def image(self, images: Tensor) -> Tensor:
        """In the joint space where there is one, otherwise the tower's own feature."""
        pooled = self.modules["towers"]["image"](images).pooled
        return self.modules["joint"].embed_image(pooled) if "joint" in self.modules else pooled

    @torch.no_grad()
    def text(self, texts: Sequence[str]) -> Tensor:
        assert self.tokenizer is not None
        return self.modules["joint"].embed_text(self.modules["towers"]["text"](self.tokenizer(texts)).pooled)

    @property
    def tensors(self) -> Tensors:
        return self.modules.state_dict()


def towers(model: ModelConfig, tokenizer: Tokenizer | None, bias: bool = False) -> Towers:
    """Towers of a model with random weights; without a tokenizer the image tower alone."""
    image = build_image(model.image)
    parts: dict[str, nn.Module] = {"image": image}
    if tokenizer is None:
        return Towers(nn.ModuleDict({"towers": nn.ModuleDict(parts)}).eval(), None)
    parts["text"] = build_text(model.text, tokenizer.vocab, tokenizer.pad, tokenizer.eot)
    joint = JointSpace(
        image.facts.width,
        model.text.width,
        model.embed,
        Contrast(bias=-10.0 if bias else None),
        model.project_image,
        model.project_text_bias,
    )
    return Towers(nn.ModuleDict({"towers": nn.ModuleDict(parts), "joint": joint}).eval(), tokenizer)


def loaded(foreign: Foreign) -> Towers:
    """Towers with these weights: all of them, and nothing else."""
    made = towers(foreign.model, foreign.tokenizer, bias="joint.logit_bias" in foreign.tensors)
    made.modules.load_state_dict(dict(foreign.tensors), strict=True)
    return made


@torch.no_grad()
def stir(module: nn.Module, seed: int = 0, scale: float = 0.05, half: bool = False) -> None:
    """Move every number, also those that begin as zero or one: nothing may hide behind a start value.

    With `half` all numbers are ones that half precision holds, so that they can be stored in it.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point() and tensor.dim():
            tensor.add_(scale * torch.randn(tensor.shape, generator=generator))
        if half and tensor.is_floating_point():
            tensor.copy_(tensor.half())


def pixels(size: int, seed: int = 1) -> Tensor:
    """Three random pictures of 4 x 4 squares: noise finer than that would look all alike."""
    generator = torch.Generator().manual_seed(seed)
    squares = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return squares.repeat_interleave(size // 4, 2).repeat_interleave(size // 4, 3)


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """As every peer's transform does it after its resizing: from 0 to 1, less the mean, by the deviation."""
    shape = (1, 3, 1, 1)
    return (images.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def agree(found: Tensor, expected: Tensor, limit: float = 1e-5) -> tuple[float, float]:
    """The largest difference, and the smallest cosine's distance from 1, both below `limit`."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert expected.std(0).max() > 1e-3, "rows that are all alike prove nothing"
    far = float((found - expected).abs().max())
    turned = 1 - float(torch.cosine_similarity(found.double(), expected.double()).min())
    assert far < limit, far
    assert turned < limit, turned
    return far, turned


def tiny(**image: object) -> ModelConfig:
    """A ViT of two layers and a text tower of one, with heads of four numbers."""
    shape = ImageTowerConfig(size=16, width=16, layers=(2,), heads=4, patch_size=4)
    changes: Mapping[str, object] = image
    text = TextTowerConfig(width=12, layers=1, heads=3, context=9)
    return ModelConfig("tiny", ImageTowerConfig(**{**vars(shape), **changes}), text, embed=8)  # type: ignore[arg-type]


def learned() -> Tokenizer:
    """A small vocabulary of `TEXTS`."""
    return LearnedTokenizer.train(TEXTS * 3, 300, 9)


def clip_words() -> Tokenizer:
    return ClipTokenizer(9)
