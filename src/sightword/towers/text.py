"""The text transformer: causal as CLIP's, or bidirectional as BERT's."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replaced

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightword.config import TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import TextTower, followed, working_dtype
from sightword.towers.blocks import Block
from sightword.towers.packing import Packing, is_exact, pack
from sightword.words import Encoded, TextFacts, Words


class TextTransformer(TextTower):
    """Pre-norm transformer over token and position embeddings, with a final LayerNorm.

    Pooling: "eot", the end-of-text token (CLIP); "mean", over all real tokens, start and end included;
    "class", a token of its own in front (bidirectional only); "last", the last place of the context. The
    batch is trimmed to what its longest caption needs, and where captions differ in length its tokens are
    packed (`towers.packing`), which changes nothing but the time: padding is never attended to, unless
    attention is "padding-too": SigLIP's weights learned with padding as words.
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
        self.pads_count = config.attention == "padding-too"
        self.pool = config.pool
        width = config.width
        self.token_embedding = nn.Embedding(vocab, width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context, width))
        self.class_token = nn.Parameter(torch.empty(1, 1, width)) if config.pool == "class" else None
        self.mask_token = nn.Parameter(torch.empty(1, 1, width)) if config.mask_token else None
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, activation=config.activation, eps=config.eps)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width, eps=config.eps)
        self._initialise()

    def _initialise(self) -> None:
        """As OpenAI's CLIP (model.py, `initialize_parameters`); further tokens as word embeddings."""
        width, depth = self.facts.width, max(1, len(self.blocks))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        if self.class_token is not None:
            nn.init.normal_(self.class_token, std=0.02)
        residual = width**-0.5 * (2 * depth) ** -0.5
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.normal_(block.attn.qkv.weight, std=width**-0.5)
            nn.init.normal_(block.attn.proj.weight, std=residual)
            nn.init.normal_(block.mlp.fc1.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.fc2.weight, std=residual)
            nn.init.zeros_(block.attn.qkv.bias)
            nn.init.zeros_(block.attn.proj.bias)
        if self.mask_token is not None:  # last: all else is drawn the same without it
            nn.init.normal_(self.mask_token, std=0.02)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `TextTower`."""
        return followed([[block] for block in self.blocks], [self.norm])

    def forward(
        self, words: Words, hidden: Bool[Tensor, "b length"] | None = None, replace: bool = False
    ) -> Encoded:
        """See `TextTower`. `tokens`, `kept` and `valid` are as long as the longest row that is left.

        Where `valid` is false, a token is finite and means nothing.
        """
        assert words.ids.shape[1] <= self.facts.context, (words.ids.shape, self.facts.context)
        positions = torch.arange(words.ids.shape[1], device=words.ids.device)
        real = positions < words.lengths[:, None]
        looked_at = torch.ones_like(real) if self.pads_count else real
        if hidden is not None:
            hidden = hidden.to(real.device) & (positions < words.lengths[:, None] - 1)
        if hidden is None or replace:
            n, rows = _longest(looked_at), real.shape[0]  # len() would fix the batch of an exported tower
            said = _Said(words.ids[:, :n], positions[:n].expand(rows, n), looked_at[:, :n])
            said = said if hidden is None else replaced(said, hidden=hidden[:, :n])
            kept, valid = None, real[:, :n]
        else:  # only the tokens that are seen, moved to the front in their order
            kept = seen_first(looked_at & ~hidden)
            seen = (looked_at & ~hidden).gather(1, kept)
            said = _Said(words.ids.gather(1, kept), kept, seen)
            valid = seen & real.gather(1, kept)
        packing = self._packing(said)
        tokens, pooled = self._padded(said) if packing is None else self._packed(said, packing)
        return Encoded(pooled, tokens, kept, hidden, valid)

    def _packing(self, said: _Said) -> Packing | None:
        """None for padded rows: where they cost as little, and where shapes must stay as they are."""
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        compiled = any(block.compiled for block in blocks) and not is_exact()
        if not blocks or compiled or _keeps_shapes():
            return None
        seen = said.seen if self.class_token is None else F.pad(said.seen, (1, 0), value=True)
        width, heads = self.facts.width, blocks[0].attn.heads
        return pack(seen, working_dtype(self.positional_embedding), width // heads)

    def _embed(self, ids: Tensor, places: Tensor, hidden: Tensor | None) -> Float[Tensor, "b n w"]:
        x = self.token_embedding(ids)
        if hidden is not None:
            if self.mask_token is None:
                raise SightwordError(
                    "this text tower has no mask token to put in place of hidden words; "
                    "train with --set model.text.mask_token=true"
                )
            x = torch.where(hidden[..., None], self.mask_token.to(x.dtype), x)
        return x + F.embedding(places, self.positional_embedding)

    def _padded(self, said: _Said) -> tuple[Float[Tensor, "b n w"], Float[Tensor, "b w"]]:
        x, real = self._embed(said.ids, said.places, said.hidden), said.seen
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)
            real = torch.cat([real.new_ones(x.shape[0], 1), real], dim=1)
        valid = None if self.causal else real  # padding comes last, so causal attention never reaches it
        for block in self.blocks:
            x = block(x, valid, self.causal)
        x = self.norm(x)
        if self.class_token is not None:
            return x[:, 1:], x[:, 0]
        return x, _mean(x, real) if self.pool == "mean" else _last(x, real)

    def _packed(self, said: _Said, packing: Packing) -> tuple[Float[Tensor, "b n w"], Float[Tensor, "b w"]]:
        """The same, but for what stands in the padding of the tokens."""
        front = 0 if self.class_token is None else 1
        ids, places, hidden = (
            None if rows is None else packing.take(F.pad(rows, (front, 0)))
            for rows in (said.ids, said.places, said.hidden)
        )
        assert ids is not None
        assert places is not None
        x = self._embed(ids, places, hidden)
        if self.class_token is not None:
            in_front = (packing.places % packing.shape[1] == 0)[None, :, None]
            x = torch.where(in_front, self.class_token.to(x.dtype), x)
        for block in self.blocks:
            x = block(x, causal=self.causal, packing=packing)
        x = self.norm(x)
        if self.class_token is not None:
            return packing.spread(x)[:, 1:], packing.at(x, packing.first)
        return packing.spread(x), packing.mean(x) if self.pool == "mean" else packing.at(x, packing.last)


@dataclass(frozen=True)
class _Said:
    """Rows of tokens: their places in the caption, which are seen (those first), which are masked."""

    ids: Int[Tensor, "b n"]
    places: Int[Tensor, "b n"]
    seen: Bool[Tensor, "b n"]
    hidden: Bool[Tensor, "b n"] | None = None


def seen_first(seen: Bool[Tensor, "b length"]) -> Int[Tensor, "b n"]:
    """Positions of the tokens that are seen, in their order, then others up to the longest row's count."""
    return torch.argsort(~seen, dim=1, stable=True)[:, : _longest(seen)]


def _longest(real: Bool[Tensor, "b n"]) -> int:
    """Tokens of the longest row; all of them where shapes must stay as they are."""
    return real.shape[1] if _keeps_shapes() else max(1, int(real.sum(1).max()))


def _keeps_shapes() -> bool:
    """Under torch.compile, where shapes that change cost recompilation, and where the tower is exported."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def _last(x: Float[Tensor, "b n w"], real: Bool[Tensor, "b n"]) -> Float[Tensor, "b w"]:
    """The last token that is looked at: end-of-text, or the context's last where padding counts too."""
    return x[torch.arange(x.shape[0], device=x.device), real.sum(1) - 1]


def _mean(x: Float[Tensor, "b n w"], real: Bool[Tensor, "b n"]) -> Float[Tensor, "b w"]:
    return (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
