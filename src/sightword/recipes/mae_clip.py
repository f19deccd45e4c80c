"""MAE-CLIP against CLIP and M3AE, small and web-scale (Weers et al. 2023, arXiv 2301.07836).

As it is described: CLIP's two towers (ViT-B/16 here), of which the text tower reads in both directions;
M3AE's generative decoder beside the contrast; pooling by GAP or by MAX; "CC" (CC3M with CC12M, 11.3 M pairs)
and a web corpus of 1.4 B pairs that is not public. Finding (its abstract): MAE-CLIP is better than CLIP on
CC, and little or not at all better on 1.4 B.

Unknown to us: its tables, its weights of the terms, masking ratios, decoder, batch, learning rate, epochs and
hardware. So none of these is claimed to be the paper's, and no figure stands here. What is set is borrowed,
the same for CLIP and MAE-CLIP so that a pair differs in nothing but the objective:

- CC: SLIP's settings of CLIP on CC12M (Mu et al. 2021, arXiv 2112.12750): batch 4096, lr 5e-4, wd .5, 35
  epochs, one of warm-up, any of a picture's captions;
- web: CLIP's own for ViT (Radford et al. 2021, arXiv 2103.00020, appendix F): batch 32,768, lr 5e-4, wd .2,
  AdamW (.9, .98), eps 1e-6, 2,000 steps of warm-up, 12.8 B samples (its 32 epochs of 400 M);
- the generative term: M3AE's ratios, weights and decoder, itself at weight 1;
- the M3AE rows: M3AE's settings (see `m3ae.py`), on this corpus.

    torchrun --nnodes 8 --nproc-per-node 8 -m sightword train mae-clip-max-vit-b16-cc \\
      --data 'cc3m/{00000..00331}.tar::cc12m/{00000..01242}.tar' --batch-size 64 --out runs/mae-clip-max

The variant that restores pixels alone: `--objective "clip + mae-clip(reconstruct=image)"`. `batch_size` is
that of all processes.
"""

from __future__ import annotations

from dataclasses import replace

from sightword.config import Config, DataConfig, ModelConfig, OptimizerConfig, Pool
from sightword.recipes import m3ae, models

_CLIP, _MAE_CLIP = "clip", "clip + 1.0 * mae-clip"


def clip_gap_vit_b16_cc() -> Config:
    """CLIP with mean pooling on CC (11.3 M pairs): MAE-CLIP's baseline."""
    return _small(_CLIP, "gap")


def clip_max_vit_b16_cc() -> Config:
    """CLIP with maximum pooling on CC (11.3 M pairs): MAE-CLIP's baseline."""
    return _small(_CLIP, "max")


def mae_clip_gap_vit_b16_cc() -> Config:
    """MAE-CLIP with mean pooling on CC (11.3 M pairs)."""
    return _small(_MAE_CLIP, "gap")


def mae_clip_max_vit_b16_cc() -> Config:
    """MAE-CLIP with maximum pooling on CC (11.3 M pairs)."""
    return _small(_MAE_CLIP, "max")


def m3ae_vit_b16_cc() -> Config:
    """M3AE alone on CC (11.3 M pairs), by M3AE's own settings."""
    return m3ae.recipe("vit-b16", "cc")


def clip_gap_vit_b16_web() -> Config:
    """CLIP with mean pooling on 1.4 B pairs from the web."""
    return _large(_CLIP, "gap")


def clip_max_vit_b16_web() -> Config:
    """CLIP with maximum pooling on 1.4 B pairs from the web."""
    return _large(_CLIP, "max")


def mae_clip_gap_vit_b16_web() -> Config:
    """MAE-CLIP with mean pooling on 1.4 B pairs from the web."""
    return _large(_MAE_CLIP, "gap")


def mae_clip_max_vit_b16_web() -> Config:
    """MAE-CLIP with maximum pooling on 1.4 B pairs from the web."""
    return _large(_MAE_CLIP, "max")


def m3ae_vit_b16_web() -> Config:
    """M3AE alone on 1.4 B pairs from the web: M3AE's own settings, over as many samples as CLIP's."""
    config, samples = m3ae.recipe("vit-b16", "web"), _LARGE_BATCH * _LARGE_STEPS
    return replace(config, epochs=0.0, steps=samples // config.batch_size)


_LARGE_BATCH, _LARGE_STEPS = 32_768, 12_800_000_000 // 32_768


def _small(objective: str, pool: Pool) -> Config:
    return Config(
        objective=objective,
        model=_towers(pool),
        data=DataConfig(path="cc", captions="uniform", tokenizer="clip"),
        optimizer=OptimizerConfig(lr=5e-4, wd=0.5, warmup=1 / 35),
        batch_size=4096,
        epochs=35.0,
        precision="bf16",
    )


def _large(objective: str, pool: Pool) -> Config:
    return Config(
        objective=objective,
        model=_towers(pool),
        data=DataConfig(path="web", tokenizer="clip"),
        optimizer=OptimizerConfig(
            lr=5e-4, wd=0.2, eps=1e-6, warmup=2000 / _LARGE_STEPS, lr_start=0.0, lr_end=0.0
        ),
        batch_size=_LARGE_BATCH,
        steps=_LARGE_STEPS,
        precision="bf16",
    )


def _towers(pool: Pool) -> ModelConfig:
    """ViT-B/16 pooled as told; captions read in both directions, by a class token and with GELU as BERT's."""
    found = models.find("vit-b16")
    text = replace(found.text, attention="bidirectional", pool="class", activation="gelu")
    return replace(found, image=replace(found.image, pool=pool), text=text)
