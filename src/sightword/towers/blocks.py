"""What all transformers here are made of: attention, MLP, drop path, pre-norm block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightword.config import Activation
from sightword.towers import attention, pieces, varlen
from sightword.towers.layer import Layer, economical
from sightword.towers.layer_norm import normed
from sightword.towers.linear import applied, perceptron
from sightword.towers.native.attention import usable
from sightword.towers.native.linear import ACTIVATIONS
from sightword.towers.native.tiled import Tiled
from sightword.towers.packing import Packing


def attend(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    v: Float[Tensor, "b heads m d"],
    valid: Bool[Tensor, "b m"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "b heads n d"]:
    """Scaled dot-product attention; keys outside `valid` are not seen.

    Torch's fused kernel everywhere but for bfloat16 training on a CPU, where its backward is two to four
    times slower than plain matrix products. (`Attention` does without either where AMX is.)
    """
    mask = None if valid is None else valid[:, None, None, :]
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and torch.is_grad_enabled():
        return _attend_plainly(q, k, v, mask, causal)
    if causal and mask is not None:
        mask = mask & _triangle(q, k)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal and mask is None)


def _triangle(q: Tensor, k: Tensor) -> Tensor:
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()


def _attend_plainly(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if causal:
        scores = scores.masked_fill(~_triangle(q, k), -torch.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1).to(v.dtype) @ v


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        assert width % heads == 0, (width, heads)
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "b n w"],
        valid: Bool[Tensor, "b n"] | None = None,
        causal: bool = False,
        packing: Packing | None = None,
    ) -> Float[Tensor, "b n w"]:
        """Mix tokens; see `attend`. With `packing`, x is (1, total, w), and each row's tokens mix."""
        return applied(self.proj, self.mixed(applied(self.qkv, x), valid, causal, packing))

    def mixed(
        self,
        qkv: Float[Tensor, "b n three_w"],
        valid: Bool[Tensor, "b n"] | None = None,
        causal: bool = False,
        packing: Packing | None = None,
    ) -> Float[Tensor, "b n w"]:
        """What lies between the two linear layers."""
        if packing is None:
            return self._mix(qkv, valid, causal)
        if packing.bounds is None:
            # Padding comes last in a row, where no token before it looks when they look back only.
            return packing.apart(qkv, lambda part, mask: self._mix(part, None if causal else mask, causal))
        q, k, v = qkv.squeeze(0).unflatten(1, (3, self.heads, -1)).unbind(1)
        longest = packing.groups[-1][1]
        return varlen.attend_within(q, k, v, packing.bounds, longest, causal).flatten(1)[None]

    def _mix(self, qkv: Tensor, valid: Tensor | None, causal: bool) -> Tensor:
        if valid is None and attention.fits(qkv, self.heads):
            return attention.mixed(qkv, self.heads, causal)
        b, n, w = qkv.shape
        q, k, v = qkv.view(b, n, 3, self.heads, w // 3 // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return attend(q, k, v, valid, causal).transpose(1, 2).reshape(b, n, w // 3)


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the activation of OpenAI's CLIP."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Element by element."""
        return x * torch.sigmoid(1.702 * x)


def activation_of(name: Activation) -> nn.Module:
    """The module that a configuration names; `gelu_tanh` is the approximation of SigLIP's weights."""
    if name == "quick_gelu":
        return QuickGELU()
    return nn.GELU(approximate="tanh" if name == "gelu_tanh" else "none")


class MLP(nn.Module):
    """Linear, activation, linear."""

    def __init__(self, width: int, hidden: int, activation: Activation = "gelu") -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = activation_of(activation)
        self.fc2 = nn.Linear(hidden, width)
        self.kernel = ACTIVATIONS.get(activation)

    def forward(self, x: Float[Tensor, "*rows w"]) -> Float[Tensor, "*rows w"]:
        """Each token by itself."""
        fused = perceptron(self.fc1, self.kernel, self.fc2, x)
        return self.fc2(self.act(self.fc1(x))) if fused is None else fused


class DropPath(nn.Module):
    """Stochastic depth (arXiv 1603.09382): in training, drops a residual branch for whole samples."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(
        self, x: Float[Tensor, "b n w"], draws: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b n w"]:
        """Kept branches are scaled by 1 / (1 - p), so that the expectation stays.

        Args:
            x: the branch's answer.
            draws: a number in [0, 1) for each row, below p where the branch is dropped; None: torch draws.
        """
        if not self.training or self.p == 0:
            return x
        draws = torch.rand(x.shape[0], device=x.device) if draws is None else draws
        return x * ((draws >= self.p).to(x.dtype) / (1 - self.p))[:, None, None]


class Block(Layer):
    """Pre-norm transformer block."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        activation: Activation = "gelu",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(width, round(width * mlp_ratio), activation)
        self.drop_path = DropPath(drop_path)

    @economical
    def forward(
        self,
        x: Float[Tensor, "b n w"],
        valid: Bool[Tensor, "b n"] | None = None,
        causal: bool = False,
        draws: Float[Tensor, "b 2"] | None = None,
        packing: Packing | None = None,
    ) -> Float[Tensor, "b n w"]:
        """Attention, then MLP, each added to its input; `draws` decide which of the two a row drops.

        With `packing`, x is (1, total, w): the tokens of rows that it has packed, from which no path drops.
        """
        assert packing is None or self.drop_path.p == 0, "paths are dropped by rows, and these are packed"
        if self._fits(x):
            return self._in_pieces(x, valid, causal, packing)
        one, two = (None, None) if draws is None else draws.unbind(1)
        x = x + self.drop_path(self.attn(normed(self.norm1, x), valid, causal, packing), one)
        return x + self.drop_path(self.mlp(normed(self.norm2, x)), two)

    def _fits(self, x: Tensor) -> bool:
        """Whether all is learned in bfloat16 on a CPU with AMX, and nothing is dropped."""
        attn, mlp = self.attn, self.mlp
        if mlp.kernel is None or (self.training and self.drop_path.p):
            return False
        layers, others = (attn.qkv, attn.proj, mlp.fc1, mlp.fc2), (attn, mlp, mlp.act, self.drop_path)
        return pieces.fit(x, (self.norm1, self.norm2), layers, others)

    def _in_pieces(
        self, x: Tensor, valid: Tensor | None, causal: bool, packing: Packing | None
    ) -> Float[Tensor, "b n w"]:
        attn, mlp, (_, n, w) = self.attn, self.mlp, x.shape
        assert mlp.kernel is not None, "asked before"
        tiled = valid is None and packing is None and usable(n, w // attn.heads)
        qkv, x = pieces.before(x, self.norm1, attn.qkv, tiled)
        if isinstance(qkv, Tiled):
            mixed: Tensor | Tiled = attention.mixed_tiled(qkv, n, attn.heads, causal)
        else:
            mixed = attn.mixed(qkv, valid, causal, packing)
        return pieces.after(x, mixed, attn.proj, self.norm2, mlp.fc1, mlp.kernel, mlp.fc2)


class AttentionPool(nn.Module):
    """One learned query attends over all tokens, then a residual MLP: the "MAP" head.

    Source: Set Transformer (arXiv 1810.00825) as used by Zhai et al. (arXiv 2106.04560) and SigLIP.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float = 4.0,
        activation: Activation = "gelu",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.probe = nn.Parameter(torch.empty(1, 1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(width, round(width * mlp_ratio), activation)
        nn.init.trunc_normal_(self.probe, std=0.02)

    def forward(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b w"]:
        """All tokens to one feature."""
        b, n, w = x.shape
        q = self.q(self.probe.expand(b, 1, w)).view(b, 1, self.heads, w // self.heads).transpose(1, 2)
        k, v = applied(self.kv, x).view(b, n, 2, self.heads, w // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        pooled = self.proj(attend(q, k, v).transpose(1, 2).reshape(b, w))
        return pooled + self.mlp(self.norm(pooled))
