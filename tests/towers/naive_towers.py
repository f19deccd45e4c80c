"""Independent twins of the towers, in float64, one sample and one head at a time, written from the papers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import erf, expit
from torch import nn

Weights = dict[str, np.ndarray]


def weights_of(module: nn.Module) -> Weights:
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def part(weights: Weights, prefix: str) -> Weights:
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def layer_norm(x: np.ndarray, w: Weights, name: str, eps: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * w[f"{name}.weight"]
        + w[f"{name}.bias"]
    )


def linear(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + erf(x / np.sqrt(2))) / 2


def quick_gelu(x: np.ndarray) -> np.ndarray:
    return x * expit(1.702 * x)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int, causal: bool = False) -> np.ndarray:
    """q (n, w), k and v (m, w) -> (n, w)."""
    d = q.shape[1] // heads
    out = np.zeros_like(q)
    for h in range(heads):
        s = slice(h * d, (h + 1) * d)
        for i in range(len(q)):
            seen = i + 1 if causal else len(k)
            scores = k[:seen, s] @ q[i, s] / np.sqrt(d)
            p = np.exp(scores - scores.max())
            out[i, s] = (p / p.sum()) @ v[:seen, s]
    return out


def block(x: np.ndarray, w: Weights, heads: int, eps: float, act=gelu, causal: bool = False) -> np.ndarray:
    q, k, v = np.split(linear(layer_norm(x, w, "norm1", eps), w, "attn.qkv"), 3, axis=1)
    x = x + linear(attention(q, k, v, heads, causal), w, "attn.proj")
    return x + linear(act(linear(layer_norm(x, w, "norm2", eps), w, "mlp.fc1")), w, "mlp.fc2")


def blocks(x: np.ndarray, w: Weights, **options) -> np.ndarray:
    depth = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))
    for i in range(depth):
        x = block(x, part(w, f"blocks.{i}."), **options)
    return x


def sincos(width: int, row: int, column: int) -> np.ndarray:
    """Column first, then row; sines first, then cosines."""
    out = []
    for where in (column, row):
        angles = [where / 10000 ** (i / (width // 4)) for i in range(width // 4)]
        out += [np.sin(a) for a in angles] + [np.cos(a) for a in angles]
    return np.array(out)


def patch(image: np.ndarray, size: int, row: int, column: int, mean: Sequence[float], std: Sequence[float]):
    """One patch of a (3, h, w) picture of bytes, normalised, as (3, size, size)."""
    cut = image[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
    return (cut / 255 - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]


def vit(image: np.ndarray, w: Weights, config, kept: Sequence[int], masked: Sequence[int] = ()):
    """One picture through a ViT that sees the patches `kept`; returns (pooled, tokens).

    `masked` patches are replaced by the mask token.
    """
    columns, size = image.shape[2] // config.patch_size, config.patch_size
    rows = []
    for position in kept:
        row, column = divmod(position, columns)
        pixels = patch(image, size, row, column, config.mean, config.std)
        kernel = w["stem.weight"].reshape(-1, 3, size, size)
        token = (kernel * pixels).sum((1, 2, 3)) + w["stem.bias"]
        token = w["mask_token"][0, 0] if position in masked else token
        learned = config.positions == "learned"
        where = w["positions.weight"][position] if learned else sincos(config.width, row, column)
        rows.append(token + where)
    if config.pool == "class":
        rows.insert(0, w["class_token"][0, 0] + (w["class_position"][0, 0] if learned else 0))
    x = layer_norm(blocks(np.stack(rows), w, heads=config.heads, eps=1e-6), w, "norm", 1e-6)
    if config.pool == "class":
        return x[0], x[1:]
    if config.pool == "attention":
        return attention_pool(x, part(w, "attention_pool."), config.heads), x
    return (x.mean(0) if config.pool == "gap" else x.max(0)), x


def attention_pool(x: np.ndarray, w: Weights, heads: int) -> np.ndarray:
    k, v = np.split(linear(x, w, "kv"), 2, axis=1)
    y = linear(attention(linear(w["probe"][0], w, "q"), k, v, heads), w, "proj")
    return (y + linear(gelu(linear(layer_norm(y, w, "norm", 1e-6), w, "mlp.fc1")), w, "mlp.fc2"))[0]


def text(ids: Sequence[int], w: Weights, config, kept: Sequence[int], masked: Sequence[int] = ()):
    """One caption without padding, of which the positions `kept` are seen; returns (pooled, tokens)."""
    rows = [
        (w["mask_token"][0, 0] if i in masked else w["token_embedding.weight"][ids[i]])
        + w["positional_embedding"][i]
        for i in kept
    ]
    if config.pool == "class":
        rows.insert(0, w["class_token"][0, 0])
    act = quick_gelu if config.activation == "quick_gelu" else gelu
    x = blocks(np.stack(rows), w, heads=config.heads, eps=1e-5, act=act, causal=config.attention == "causal")
    x = layer_norm(x, w, "norm", 1e-5)
    if config.pool == "class":
        return x[0], x[1:]
    return (x[-1] if config.pool == "eot" else x.mean(0)), x


def patch_decoder(pooled, tokens, kept: Sequence[int], w: Weights, grid: tuple[int, int], heads: int):
    """One sample through MAE's decoder; `pooled` is None for a tower without class token."""
    width = w["embed.weight"].shape[0]
    seen = dict(zip(kept, linear(tokens, w, "embed"), strict=True))
    rows = [
        seen.get(i, w["mask_token"][0, 0]) + sincos(width, *divmod(i, grid[1]))
        for i in range(grid[0] * grid[1])
    ]
    if pooled is not None:
        rows.insert(0, linear(pooled, w, "embed"))
    x = blocks(np.stack(rows), w, heads=heads, eps=1e-6)
    x = linear(layer_norm(x, w, "norm", 1e-6), w, "predict")
    return x if pooled is None else x[1:]
