"""One trunk for a picture and its caption together (M3AE)."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.towers.base import ImageTower
from sightword.towers.positions import sincos_1d
from sightword.towers.text import seen_first
from sightword.towers.vit import ViT
from sightword.words import Encoded, Words


class JointTrunk(nn.Module):
    """Patches and words in one sequence through the layers of the image tower (Geng et al. 2022, M3AE).

    The trunk owns what only words need: their embedding, fixed sine-cosine positions and the vector that
    marks them as words. Everything else is the image tower itself, which is thereby trained and is used
    without the trunk afterwards. Source: arXiv 2205.14204, section 3, and its released code.

    Deviations: M3AE also adds a type vector to each patch, which is what the patch embedding's own bias does;
    its captions have no special tokens, ours begin and end with one, and the end is always seen.

    Raises:
        SightwordError: the image tower has no patches to put words beside.
    """

    image: ViT
    positions: Tensor

    def __init__(self, image: ImageTower, vocab: int, context: int) -> None:
        super().__init__()
        if not isinstance(image, ViT) or not image.facts.maskable or image.facts.width % 2:
            raise SightwordError(
                "a joint encoding of pictures and captions needs a ViT with a patch stem as image tower; "
                "try --model vit-tiny, vit-s16 or vit-b16"
            )
        object.__setattr__(self, "image", image)  # unregistered: its parameters belong to the encoders
        self.facts, self.path_draws = image.facts, image.path_draws
        self.words = nn.Embedding(vocab, image.facts.width)
        self.word_type = nn.Parameter(torch.empty(1, 1, image.facts.width))
        self.register_buffer("positions", sincos_1d(image.facts.width, context), persistent=False)
        nn.init.normal_(self.words.weight, std=1.0)  # M3AE's code; its fixed positions are as large
        nn.init.normal_(self.word_type, std=0.02)

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        words: Words,
        patches: Bool[Tensor, "b grid"] | None = None,
        tokens: Bool[Tensor, "b length"] | None = None,
        replace: bool = False,
        replace_words: bool = False,
        draws: Float[Tensor, "b draws"] | None = None,
    ) -> Encoded:
        """Encode pairs.

        Args:
            images, words: row i of one belongs to row i of the other.
            patches, tokens: True where a patch or word is dropped; the end of text is always seen.
            replace, replace_words: not known here.
            draws: as for `ViT.forward`.

        Returns:
            tokens of the picture, then of the caption; `pooled` is the picture's, as the tower pools it.
        """
        assert not replace, "a joint trunk drops what is hidden"
        assert not replace_words, "a joint trunk drops what is hidden"
        place = torch.arange(words.ids.shape[1], device=words.ids.device)
        real, hidden = place < words.lengths[:, None], None
        if tokens is not None:
            hidden = tokens.to(real.device) & (place < words.lengths[:, None] - 1)
        seen = real if hidden is None else real & ~hidden
        kept = seen_first(seen)
        embedded = self.words(words.ids.gather(1, kept)) + F.embedding(kept, self.positions) + self.word_type
        picture, caption = self.image.together(images, patches, embedded, seen.gather(1, kept), draws)
        hidden = torch.zeros_like(real) if hidden is None else hidden
        return _joined(picture, caption, kept, hidden, seen.gather(1, kept))


def parts(encoded: Encoded, grid: int) -> tuple[Encoded, Encoded]:
    """A joint encoding as the picture's and the caption's; both have the picture's `pooled`.

    Args:
        encoded: what a joint trunk answered.
        grid: positions of the whole picture.
    """
    assert encoded.kept is not None
    assert encoded.valid is not None
    assert encoded.hidden is not None
    own = grid - int(encoded.hidden[0, :grid].sum())
    picture = Encoded(
        encoded.pooled, encoded.tokens[:, :own], encoded.kept[:, :own], encoded.hidden[:, :grid]
    )
    caption = Encoded(
        encoded.pooled,
        encoded.tokens[:, own:],
        (encoded.kept[:, own:] - grid).clamp_min(0),  # where chunks were joined, padding stands at 0
        encoded.hidden[:, grid:],
        encoded.valid[:, own:],
    )
    return picture, caption


def _joined(
    picture: Encoded, caption: Float[Tensor, "b m w"], kept: Tensor, hidden: Tensor, valid: Tensor
) -> Encoded:
    b, n, _ = picture.tokens.shape
    own = torch.arange(n, device=kept.device).expand(b, n) if picture.kept is None else picture.kept
    patches = hidden.new_zeros(b, n) if picture.hidden is None else picture.hidden
    return replace(
        picture,
        tokens=torch.cat([picture.tokens, caption], dim=1),
        kept=torch.cat([own, kept + patches.shape[1]], dim=1),
        hidden=torch.cat([patches, hidden], dim=1),
        valid=torch.cat([valid.new_ones(b, n), valid], dim=1),
    )
