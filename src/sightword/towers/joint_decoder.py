"""M3AE's decoder: from what was seen of a picture and its caption to all pixels and hidden words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.losses.restoring import hidden_words
from sightword.masking import count_hidden
from sightword.towers.blocks import Block
from sightword.towers.painting import Canvas, check_painter
from sightword.towers.positions import sincos_1d, sincos_2d
from sightword.words import Encoded, ImageFacts, Masking, Surroundings, TextFacts, Words


class JointDecoder(nn.Module):
    """A light transformer over a picture and its caption, each whole again (Geng et al. 2022, M3AE).

    Linear to the decoder's width, a mask token of its own kind at each hidden patch and hidden word, fixed
    sine-cosine positions (2-D and 1-D), a type vector for either side, shared blocks, LayerNorm, linear maps
    to the pixels of a patch and to the vocabulary. A class token goes along in front, without position and
    type. Padding is never attended to. Source: arXiv 2205.14204, section 3, and its released code.

    Deviation: exact GELU, where flax's default is the approximation by tanh.

    Args:
        image, text: what the encoders are; `text.width` is that of the caption's tokens.
        width, depth, heads: the decoder's shape.
        shared: both sides come from one trunk and share the map to the decoder's width, as M3AE's code.
        reads: whether words are predicted too.
    """

    positions: Tensor
    places: Tensor
    mask_token: nn.Parameter
    mask_word: nn.Parameter
    patch_type: nn.Parameter
    word_type: nn.Parameter

    def __init__(
        self,
        image: ImageFacts,
        text: TextFacts,
        width: int = 512,
        depth: int = 8,
        heads: int = 16,
        shared: bool = False,
        reads: bool = True,
    ) -> None:
        super().__init__()
        assert image.patch_size is not None, "a decoder of patches needs a tower of patches"
        self.class_token = image.class_token
        self.embed = nn.Linear(image.token_width, width)
        self.embed_words = None if shared else nn.Linear(text.width, width)
        for name in ("mask_token", "mask_word", "patch_type", "word_type"):
            self.register_parameter(name, nn.Parameter(torch.empty(1, 1, width)))
        self.register_buffer("positions", sincos_2d(width, image.grid), persistent=False)
        self.register_buffer("places", sincos_1d(width, text.context), persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.predict = nn.Linear(width, 3 * image.patch_size**2)
        self.vocabulary = nn.Linear(width, text.vocab) if reads else None
        self._initialise()

    def _initialise(self) -> None:
        """As M3AE's code: Xavier uniform, biases 0, single tokens normal of .02."""
        for token in (self.mask_token, self.mask_word, self.patch_type, self.word_type):
            nn.init.normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(
        self, picture: Encoded, caption: Encoded
    ) -> tuple[Float[Tensor, "b full pixels"], Float[Tensor, "m vocab"] | None]:
        """Predict what was hidden.

        Args:
            picture: tokens in the order of `kept`, or of the whole grid where `kept` is None.
            caption: the same of words, with `valid`, and `hidden` where words are predicted.

        Returns:
            every patch of the grid, row-major; and logits of the m hidden words alone, in the order of
            `caption.hidden.nonzero()` (of all words they would not fit into memory).
        """
        patches = self._patches(picture)
        words, real = self._words(caption)
        first = [self.embed(picture.pooled)[:, None].to(patches.dtype)] if self.class_token else []
        x = torch.cat([*first, patches, words.to(patches.dtype)], dim=1)
        n, ahead = x.shape[1] - words.shape[1], len(first)
        valid = torch.cat([real.new_ones(len(x), n), real], dim=1)
        for block in self.blocks:
            x = block(x, valid)
        x = self.norm(x)
        pixels = self.predict(x[:, ahead:n])
        if self.vocabulary is None:
            return pixels, None
        assert caption.hidden is not None, "the encoder says which words it did not see"
        return pixels, self.vocabulary(x[:, n:][caption.hidden[:, : words.shape[1]]])

    def _patches(self, picture: Encoded) -> Float[Tensor, "b full width"]:
        x = self.embed(picture.tokens)
        if picture.kept is not None:
            full = self.mask_token.to(x.dtype).expand(len(x), len(self.positions), -1)
            x = full.scatter(1, picture.kept[..., None].expand_as(x), x)
        return x + self.positions + self.patch_type

    def _words(self, caption: Encoded) -> tuple[Float[Tensor, "b n width"], Bool[Tensor, "b n"]]:
        """As many places as the longest caption has, and which of them are not padding."""
        assert caption.valid is not None, "the encoder says which tokens are padding"
        x = (self.embed_words or self.embed)(caption.tokens)
        kept = caption.kept
        if kept is None:
            kept = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
        full = int(x.shape[1]) if caption.hidden is None else caption.hidden.shape[1]
        kept = torch.where(caption.valid, kept, full)  # padding goes to a place behind the last
        seen = torch.zeros(len(x), full + 1, dtype=torch.bool, device=x.device).scatter(1, kept, value=True)
        real = seen[:, :full] if caption.hidden is None else seen[:, :full] | caption.hidden
        n = full if torch.compiler.is_compiling() else int(real.sum(1).max())
        whole = self.mask_word.to(x.dtype).expand(len(x), full + 1, -1)
        whole = whole.scatter(1, kept[..., None].expand_as(x), x)
        return whole[:, :n] + self.places[:n] + self.word_type, real[:, :n]


class Restoration(nn.Module):
    """What M3AE's and MAE-CLIP's losses share: a decoder over both sides, and what its answers cost.

    Args:
        decoder: paints pixels and, perhaps, reads words.
        canvas: the pixels it is asked for.
    """

    def __init__(self, decoder: JointDecoder, canvas: Canvas) -> None:
        super().__init__()
        self.decoder, self.canvas = decoder, canvas

    def forward(
        self, picture: Encoded, caption: Encoded, images: UInt8[Tensor, "b 3 h w"], words: Words
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""] | None, dict[str, Tensor]]:
        """The loss of the hidden pixels, that of the hidden words (None where none are read), and metrics."""
        assert picture.hidden is not None, "the tower says what it did not see"
        predicted, logits = self.decoder(picture, caption)
        pixels, explained = self.canvas.score(predicted, images, picture.hidden)
        metrics = {"explained": explained, "pixel_loss": pixels.detach()}
        if logits is None:
            return pixels, None, metrics
        assert caption.hidden is not None, "the encoder says which words it did not see"
        rows = caption.hidden.nonzero()[:, 0]
        ids = words.ids[caption.hidden]
        loss = hidden_words(logits, ids, rows, len(words.ids))
        right = (logits.detach().argmax(dim=1) == ids).sum() / max(1, len(ids))
        return pixels, loss, metrics | {"word_loss": loss.detach(), "word_accuracy": right}

    @torch.no_grad()
    def pictures(
        self, picture: Encoded, caption: Encoded, images: UInt8[Tensor, "b 3 h w"]
    ) -> Mapping[str, UInt8[Tensor, "b 3 h w"]]:
        """The original; what was seen of it (the rest grey); and hidden patches as predicted."""
        assert picture.hidden is not None, "the tower says what it did not see"
        return self.canvas.pictures(self.decoder(picture, caption)[0], images, picture.hidden)


def check_restorer(
    name: str,
    around: Surroundings,
    masks: tuple[Masking, Masking],
    weights: tuple[float, float],
    decoder: tuple[int, int, int],
) -> TextFacts:
    """Whether the objective `name` can hide patches and words here and restore them; the text's facts.

    Args:
        name: as it stands in `--objective`.
        around: the towers.
        masks, weights: of patches and of words.
        decoder: its width, layers and heads.

    Raises:
        SightwordError: the towers do not fit, or there is nothing to restore.
    """
    if around.text is None:
        raise SightwordError(f"{name} learns from captions, but this run has none; try --objective mae")
    patches, words = masks
    check_painter(name, around.image, patches, decoder)
    if not 0 < words.ratio < 1 or not count_hidden(words, around.text.context):
        raise SightwordError(f"{name}(ratio_words={words.ratio}) hides none or all words; try 0.75")
    if min(weights) < 0 or not sum(weights):
        raise SightwordError(f"{name} cannot weigh by less than zero or by nothing; try text_weight=0.5")
    return around.text
