"""Floor 2. The text transformer: causal as CLIP's, or bidirectional as BERT's."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightword.config import TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import TextTower
from sightword.towers.blocks import Block
from sightword.words import Encoded, TextFacts, Words


class TextTransformer(TextTower):
    """Pre-norm transformer over token and position embeddings, with a final LayerNorm.

    Pooling: "eot", the end-of-text token (CLIP); "mean", over all real tokens, start and end included;
    "class", a token of its own in front (bidirectional only). The batch is trimmed to what its longest
    caption needs, which changes nothing but the time: padding is never attended to.
    """

    def __init__(self, config: TextTowerConfig, vocab: int, pad: int, eot: int) -> None:
        super().__init__(
            TextFacts(
                width=config.width,
                vocab=vocab,
                context=config.context,
                pad=pad,
                eot=eot,
                maskable=True,
            )
        )
        self.causal = config.attention == "causal"
        self.pool = config.pool
        width = config.width
        self.token_embedding = nn.Embedding(vocab, width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context, width))
        self.class_token = nn.Parameter(torch.empty(1, 1, width)) if config.pool == "class" else None
        self.mask_token = nn.Parameter(torch.empty(1, 1, width)) if config.mask_token else None
        quick = config.activation == "quick_gelu"
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, quick=quick, eps=1e-5) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self._initialise()

    def _initialise(self) -> None:
        """As OpenAI's CLIP (model.py, `initialize_parameters`); further tokens as word embeddings."""
        width, depth = self.facts.width, len(self.blocks)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        for extra in (self.class_token, self.mask_token):
            if extra is not None:
                nn.init.normal_(extra, std=0.02)
        residual = width**-0.5 * (2 * depth) ** -0.5
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.normal_(block.attn.qkv.weight, std=width**-0.5)
            nn.init.normal_(block.attn.proj.weight, std=residual)
            nn.init.normal_(block.mlp.fc1.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.fc2.weight, std=residual)
            nn.init.zeros_(block.attn.qkv.bias)
            nn.init.zeros_(block.attn.proj.bias)

    def forward(
        self, words: Words, hidden: Bool[Tensor, "b length"] | None = None, replace: bool = False
    ) -> Encoded:
        """See `TextTower`. `tokens`, `kept` and `valid` are as long as the longest row that is left."""
        positions = torch.arange(words.ids.shape[1], device=words.ids.device)
        real = positions < words.lengths[:, None]
        eot = positions == words.lengths[:, None] - 1
        if hidden is not None:
            hidden = hidden.to(real.device) & real & ~eot
        x = self._embed(words.ids, hidden if replace else None)
        kept = None
        if hidden is not None and not replace:
            kept = torch.argsort(hidden | ~real, dim=1, stable=True)
            x, real, eot = _take(x, kept), (real & ~hidden).gather(1, kept), eot.gather(1, kept)
        n = _longest(real)
        x, real, eot = x[:, :n], real[:, :n], eot[:, :n]
        tokens, pooled = self._encode(x, real, eot)
        return Encoded(pooled, tokens, None if kept is None else kept[:, :n], hidden, real)

    def _embed(self, ids: Int[Tensor, "b n"], replaced: Tensor | None) -> Float[Tensor, "b n w"]:
        x = self.token_embedding(ids)
        if replaced is not None:
            if self.mask_token is None:
                raise SightwordError(
                    "this text tower has no mask token to put in place of hidden words; set model.text.mask_token"
                )
            x = torch.where(replaced[..., None], self.mask_token.to(x.dtype), x)
        return x + self.positional_embedding[: ids.shape[1]]

    def _encode(self, x: Tensor, real: Tensor, eot: Tensor) -> tuple[Tensor, Tensor]:
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)
            real = torch.cat([real.new_ones(x.shape[0], 1), real], dim=1)
        valid = None if self.causal else real  # padding comes last, so causal attention never reaches it
        for block in self.blocks:
            x = block(x, valid, self.causal)
        x = self.norm(x)
        if self.class_token is not None:
            return x[:, 1:], x[:, 0]
        return x, _mean_where(x, eot if self.pool == "eot" else real)


def _take(x: Float[Tensor, "b n w"], order: Int[Tensor, "b m"]) -> Float[Tensor, "b m w"]:
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[-1]))


def _longest(real: Bool[Tensor, "b n"]) -> int:
    """Tokens of the longest row. Under torch.compile all of them: shapes that change cost recompilation."""
    return real.shape[1] if torch.compiler.is_compiling() else max(1, int(real.sum(1).max()))


def _mean_where(x: Float[Tensor, "b n w"], chosen: Bool[Tensor, "b n"]) -> Float[Tensor, "b w"]:
    weight = chosen.to(x.dtype)
    return (weight[:, None] @ x)[:, 0] / weight.sum(1, keepdim=True)
