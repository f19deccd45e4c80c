"""SuperCLIP's recipes (Zhao et al. 2025, arXiv 2512.14480, and the released superclip_vit_*_s512m_bs16k).

CLIP, and a head with the same weight that says the caption's words: 512 million pairs of DataComp-1B at
16,384 a step, AdamW (0.9, 0.98), eps 1e-6, decay .2, learning rate 1e-3, warm-up over 500 steps from 0,
cosine to 0, crops of 90 to 100 %. Published zero-shot ImageNet top-1 stands with each, beside CLIP's with the
same recipe.

    torchrun --nproc-per-node 8 -m sightword train superclip-vit-b16 --data 'datacomp/{00000..140146}.tar'

Hardware of the paper: unknown. `batch_size` is that of all processes. Deviation: open_clip's ViT, which it
trains, has one LayerNorm more, before its first layer.
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

_BATCH = 16_384
_STEPS = 512_000_000 // _BATCH
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's


def superclip_vit_b16() -> Config:
    """SuperCLIP ViT-B/16 on 512 M pairs of DataComp-1B: 63.5 (CLIP 60.5)."""
    return _recipe("b16", (768, 12, 12), (512, 8), embed=512)


def superclip_vit_l16() -> Config:
    """SuperCLIP ViT-L/16 on 512 M pairs of DataComp-1B: 70.1 (CLIP 66.1)."""
    return _recipe("l16", (1024, 24, 16), (768, 12), embed=768)


def _recipe(name: str, image: tuple[int, int, int], text: tuple[int, int], embed: int) -> Config:
    width, layers, heads = image
    return Config(
        objective="clip(classify=1.0, view=whole)",
        model=ModelConfig(
            f"superclip-{name}",
            ImageTowerConfig(width=width, layers=(layers,), heads=heads, mean=_MEAN, std=_STD),
            TextTowerConfig(width=text[0], heads=text[1], activation="gelu"),
            embed,
        ),
        data=DataConfig(path="datacomp", tokenizer="clip"),
        optimizer=OptimizerConfig(lr=1e-3, wd=0.2, eps=1e-6, warmup=500 / _STEPS, lr_start=0.0, lr_end=0.0),
        batch_size=_BATCH,
        steps=_STEPS,
        precision="bf16",
    )
