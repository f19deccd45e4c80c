"""A head that says which words a picture's caption has (SuperClass, SuperCLIP)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightword import distributed
from sightword.losses.naming import inverse_document_frequency, word_classification
from sightword.words import TextFacts, Words


class WordClassifier(nn.Module):
    """The mean of a picture's tokens, LayerNorm, and a linear map to the whole vocabulary.

    Huang et al. 2024 (arXiv 2411.03313) and Zhao et al. 2025 (arXiv 2512.14480), section 3; the LayerNorm and
    the initialisation are those of the released code. Rare words weigh more: by the inverse frequency among
    all captions that were trained on so far, this batch and all ranks included.

    Attributes:
        documents: captions that had each word, shape (vocab,), int64.
        captions: captions that were counted, shape (), int64.
    """

    documents: Tensor
    captions: Tensor

    def __init__(self, width: int, text: TextFacts) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.vocabulary = nn.Linear(width, text.vocab)
        nn.init.normal_(self.vocabulary.weight, std=width**-0.5)
        nn.init.zeros_(self.vocabulary.bias)
        self.register_buffer("documents", torch.zeros(text.vocab, dtype=torch.int64))
        self.register_buffer("captions", torch.zeros((), dtype=torch.int64))

    def forward(
        self, tokens: Float[Tensor, "b n width"], words: Words
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Score the local pictures against their captions; while training, count the captions.

        Args:
            tokens: of the pictures, as the tower gives them.
            words: their captions.

        Returns:
            the loss; and, without gradient, how often the likeliest word is one of the caption's.
        """
        said = says(words, self.documents.numel())
        documents, captions = self._counted(said)
        logits = self.vocabulary(self.norm(tokens.mean(dim=1)))
        loss = word_classification(logits, said * inverse_document_frequency(documents, captions))
        hit = said.gather(1, logits.detach().argmax(dim=1, keepdim=True)).float().mean()
        if self.training:
            self.documents.copy_(documents)
            self.captions.copy_(captions)
        return loss, hit

    def _counted(self, said: Bool[Tensor, "b vocab"]) -> tuple[Int[Tensor, " vocab"], Int[Tensor, ""]]:
        """The counts with this batch of all ranks; whole numbers, so that the order of adding is nothing."""
        everywhere = distributed.mean(said.sum(dim=0).float()) * distributed.world_size()
        rows = len(said) * distributed.world_size()
        return self.documents + everywhere.round().long(), self.captions + rows


def says(words: Words, vocab: int) -> Bool[Tensor, "b vocab"]:
    """True where a caption has a word at least once; start, end and padding are no words.

    Deviation: the released codes of SuperClass and SuperCLIP count these three too. Start and end are in
    every caption, so their weight is log 1 = 0 and nothing changes; padding is in nearly every one, and
    CLIP's vocabulary has no padding of its own but takes the word "!" for it, which stays a word here.
    """
    place = torch.arange(words.ids.shape[1], device=words.ids.device)
    inside = (place > 0) & (place < words.lengths[:, None] - 1)
    counts = torch.zeros(len(words.ids), vocab, device=words.ids.device)
    return counts.scatter_add_(1, words.ids, inside.to(counts.dtype)) > 0
