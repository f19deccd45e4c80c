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


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def quick_gelu(x: np.ndarray) -> np.ndarray:
    return x * expit(1.702 * x)


ACTIVATIONS = {"gelu": gelu, "quick_gelu": quick_gelu, "gelu_tanh": gelu_tanh}


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
        token = (kernel * pixels).sum((1, 2, 3)) + (w["stem.bias"] if config.stem_bias else 0)
        token = w["mask_token"][0, 0] if position in masked else token
        learned = config.positions == "learned"
        where = w["positions.weight"][position] if learned else sincos(config.width, row, column)
        rows.append(token + where)
    classed = config.pool == "class" or config.class_token
    if classed:
        rows.insert(0, w["class_token"][0, 0] + (w["class_position"][0, 0] if learned else 0))
    eps, act = config.eps, ACTIVATIONS[config.activation]
    x = layer_norm(np.stack(rows), w, "pre_norm", eps) if config.pre_norm else np.stack(rows)
    x = blocks(x, w, heads=config.heads, eps=eps, act=act)
    x = x if config.norm_after_pool else layer_norm(x, w, "norm", eps)
    tokens = x[1:] if classed else x
    if config.pool == "class":
        pooled = x[0]
    elif config.pool == "attention":
        pooled = attention_pool(tokens, part(w, "attention_pool."), config.heads, eps, act)
    else:
        pooled = tokens.mean(0) if config.pool == "gap" else tokens.max(0)
    return (layer_norm(pooled, w, "norm", eps) if config.norm_after_pool else pooled), tokens


def attention_pool(x: np.ndarray, w: Weights, heads: int, eps: float = 1e-6, act=gelu) -> np.ndarray:
    k, v = np.split(linear(x, w, "kv"), 2, axis=1)
    y = linear(attention(linear(w["probe"][0], w, "q"), k, v, heads), w, "proj")
    return (y + linear(act(linear(layer_norm(y, w, "norm", eps), w, "mlp.fc1")), w, "mlp.fc2"))[0]


def text(ids: Sequence[int], w: Weights, config, kept: Sequence[int], masked: Sequence[int] = ()):
    """One caption, of which the positions `kept` are seen; returns (pooled, tokens).

    Without padding, but for `padding-too`, where padding is words like others.
    """
    rows = [
        (w["mask_token"][0, 0] if i in masked else w["token_embedding.weight"][ids[i]])
        + w["positional_embedding"][i]
        for i in kept
    ]
    if config.pool == "class":
        rows.insert(0, w["class_token"][0, 0])
    act, eps = ACTIVATIONS[config.activation], config.eps
    x = blocks(np.stack(rows), w, heads=config.heads, eps=eps, act=act, causal=config.attention == "causal")
    x = layer_norm(x, w, "norm", eps)
    if config.pool == "class":
        return x[0], x[1:]
    return (x.mean(0) if config.pool == "mean" else x[-1]), x


def standard_resnet(image: np.ndarray, w: Weights, config) -> np.ndarray:
    """One picture through a ResNet whose norms use what they have followed; its pooled feature."""
    x = (image / 255 - np.array(config.mean)[:, None, None]) / np.array(config.std)[:, None, None]
    x = np.maximum(batch_norm(convolved(x, w["conv1.weight"], 2), w, "bn1"), 0)
    x = most_of_three(x)
    for stage, depth in enumerate(config.layers):
        for i in range(depth):
            stride = 2 if stage > 0 and i == 0 else 1
            x = residual(x, part(w, f"layer{stage + 1}.{i}."), stride)
    return x.mean((1, 2)) if config.pool == "gap" else x.max((1, 2))


def residual(x: np.ndarray, w: Weights, stride: int) -> np.ndarray:
    """The stride lies in the first 3x3 convolution."""
    y, last = x, 3 if "conv3.weight" in w else 2
    for i in range(1, last + 1):
        kernel = w[f"conv{i}.weight"]
        step = stride if i == (2 if last == 3 else 1) else 1
        y = batch_norm(convolved(y, kernel, step), w, f"bn{i}")
        y = np.maximum(y, 0) if i < last else y
    if "downsample.0.weight" in w:
        x = batch_norm(convolved(x, w["downsample.0.weight"], stride), w, "downsample.1")
    return np.maximum(x + y, 0)


def convolved(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """(c, h, w) by (out, c, k, k), half a kernel of zeros around."""
    k = kernel.shape[2]
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    rows, columns = ((n - k) // stride + 1 for n in x.shape[1:])
    out = np.zeros((len(kernel), rows, columns))
    for i in range(rows):
        for j in range(columns):
            seen = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = (kernel * seen).sum((1, 2, 3))
    return out


def most_of_three(x: np.ndarray) -> np.ndarray:
    """The maximum of 3x3 at every second place."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    rows, columns = ((n - 3) // 2 + 1 for n in x.shape[1:])
    cells = [
        [x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)) for j in range(columns)] for i in range(rows)
    ]
    return np.array(cells).transpose(2, 0, 1)


def batch_norm(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    column = {
        part: w[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    }
    return (x - column["running_mean"]) / np.sqrt(column["running_var"] + 1e-5) * column["weight"] + column[
        "bias"
    ]


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
