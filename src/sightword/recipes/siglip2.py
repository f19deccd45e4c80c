"""SigLIP 2's recipes (Tschannen et al. 2025, arXiv 2502.14786, sections 2.1 to 2.3).

SigLIP from the start; self-distillation (weight 1) and masked prediction (weight .25) from 80 % of training,
both times .25, .5, 1 or .5 for the sizes B, L, So400m and g. 40 billion examples at 32,768 a step, warm-up of
20,000 steps, cosine, gradients clipped to norm 1, learning rate 1e-3, weight decay 1e-4. The paper's decay
stands beside the learning rate (arXiv 1711.05101, algorithm 2); torch multiplies the two, so it is .1 here.
Patches of 16 at 256 pixels, attention pooling, captions of 64 tokens. Published zero-shot ImageNet top-1 at
256 pixels stands with each.

    torchrun --nproc-per-node 8 -m sightword train siglip2-vit-b16 --data 'pairs/{00000..99999}.tar'

Hardware of the paper: up to 2048 TPU v5e. `batch_size` is that of all processes.

Not reproduced: its captioning decoder (LocCa), which trains beside SigLIP with equal weight; WebLI, which is
not public (10 billion pictures, 109 languages); Gemma's 256,000-row vocabulary (CLIP's here); the last 5 %
at other resolutions; and, for B, a further fine-tuning on selected samples. Unknown: Adam's betas (SigLIP's
.95 here) and where the cosine begins and ends (at 0 here, as in SigLIP's code base); the heads,
temperatures and momentum of the late terms, see `self-distillation` and `masked-prediction`. The shapes of
So400m and g are those of the released weights.
"""

from __future__ import annotations

from sightword.config import (
    Config,
    DataConfig,
    ImageTowerConfig,
    ModelConfig,
    OptimizerConfig,
    TextTowerConfig,
)

_BATCH = 32_768
_STEPS = round(40e9 / _BATCH)

LEARNING = OptimizerConfig(
    lr=1e-3,
    wd=0.1,
    betas=(0.9, 0.95),
    warmup=20_000 / _STEPS,
    lr_start=0.0,
    lr_end=0.0,
    grad_clip=1.0,
)


def siglip2_vit_b16() -> Config:
    """SigLIP 2 ViT-B/16 (86 M): 79.1, with the fine-tuning on selected samples."""
    return _recipe("b16", 0.25, (768, 12, 12, 4.0), (768, 12, 12, 4.0))


def siglip2_vit_l16() -> Config:
    """SigLIP 2 ViT-L/16 (303 M): 82.5."""
    return _recipe("l16", 0.5, (1024, 24, 16, 4.0), (1024, 24, 16, 4.0))


def siglip2_so400m_16() -> Config:
    """SigLIP 2 So400m/16 (400 M; 4304 wide between the layers): 83.4."""
    shape = (1152, 27, 16, 4304 / 1152)
    return _recipe("so400m-16", 1.0, shape, shape)


def siglip2_g_16() -> Config:
    """SigLIP 2 g/16 (1 B), beside a text tower of So400m's shape: 84.5."""
    return _recipe("g-16", 0.5, (1536, 40, 16, 4.0), (1152, 27, 16, 4304 / 1152))


Shape = tuple[int, int, int, float]  # width, layers, heads, ratio of the wide layers


def _recipe(name: str, factor: float, image: Shape, text: Shape) -> Config:
    late = f"{factor} * self-distillation@80% + {0.25 * factor} * masked-prediction@80%"
    return Config(
        objective=f"siglip + {late}",
        model=ModelConfig(f"siglip2-{name}", _image(image), _text(text), embed=image[0]),
        data=DataConfig(path="webli", tokenizer="clip"),
        optimizer=LEARNING,
        batch_size=_BATCH,
        steps=_STEPS,
        precision="bf16",
    )


def _image(shape: Shape) -> ImageTowerConfig:
    width, layers, heads, ratio = shape
    return ImageTowerConfig(
        size=256,
        width=width,
        layers=(layers,),
        heads=heads,
        patch_size=16,
        pool="attention",
        mlp_ratio=ratio,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


def _text(shape: Shape) -> TextTowerConfig:
    """Bidirectional and read at the last token, as the released weights have it."""
    width, layers, heads, ratio = shape
    return TextTowerConfig(
        width=width,
        layers=layers,
        heads=heads,
        context=64,
        attention="bidirectional",
        pool="eot",
        activation="gelu",
        mlp_ratio=ratio,
    )
