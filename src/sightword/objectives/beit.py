"""BEiT: name the visual tokens of the patches that are hidden (Bao et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.restoring import code_prediction
from sightword.masking import count_hidden, patchify, unpatchify
from sightword.objectives.base import Objective
from sightword.towers.dvae import DalleTokenizer
from sightword.towers.joint_space import JointSpace
from sightword.towers.visual_tokenizer import VisualTokenizer, VqTokenizer
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, ImageFacts, Masking, Surroundings, Term

_GREY = 127  # a hidden patch in `pictures`
_MOST_LOGITS = 2**27  # computed at once: half a GB; more are computed once again in the backward pass


@final
class Beit(Objective):
    """Cross-entropy over a codebook at hidden positions; Bao et al. 2022 (arXiv 2106.08254), section 2.

    Hidden patches are replaced by the tower's mask token, in blocks; a linear head says which code each of
    them has, according to a tokenizer that sees the whole picture and does not train with the run.
    Deviations: the tower is the one that is asked for (BEiT's has relative positions and layer scale), and
    every picture hides equally many patches (see `masking.hidden`).

    Args:
        ratio: share of patches hidden; the paper's "about 40 %" (its code hides 75 of 196, or 0.3826).
        tokenizer: `vq` is trained by this run, before its first step, on its own pictures; `dvae` is
            DALL-E's published encoder, as in the paper, and needs `weights`.
        weights: where a tokenizer comes from instead of being trained: for `vq` a run that has one, or a
            safetensors file; for `dvae` the published encoder.pkl, its state dict as safetensors, or a run.
        codebook: how many codes `vq` has, by default as the papers. A small collection has fewer kinds of
            patches than 8192: give 512 for thousands of pictures, and compare `code_perplexity`.
        code_width: numbers in a code of `vq`; BEiT v2's 32.
        tokenizer_width: of the networks of `vq`.
        tokenizer_steps: batches that `vq` is trained on. Deviation: BEiT v2's sees ImageNet a hundred times;
            the default is a matter of minutes on a CPU. Give more where pictures are many.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        ratio: float = 0.4,
        tokenizer: Literal["vq", "dvae"] = "vq",
        weights: str = "",
        codebook: int = 8192,
        code_width: int = 32,
        tokenizer_width: int = 64,
        tokenizer_steps: int = 200,
    ) -> None:
        super().__init__(around)
        masking = Masking(ratio, "block", replace=True)
        _check(around.image, masking, min(codebook - 1, code_width, tokenizer_width, tokenizer_steps))
        if tokenizer == "dvae" and not weights:
            raise SightwordError(
                "beit(tokenizer=dvae) needs DALL-E's published encoder: give its file,"
                ' weights="encoder.pkl", or try tokenizer=vq, which needs none'
            )
        self.weights = weights
        self.preparation = 0 if weights else tokenizer_steps
        self.hidden = count_hidden(masking, around.image.grid[0] * around.image.grid[1])
        self.tokenizer: VisualTokenizer = (
            DalleTokenizer(around.image.grid)
            if tokenizer == "dvae"
            else VqTokenizer(around.image.patch_size or 0, codebook, code_width, tokenizer_width)
        )
        self.head = nn.Linear(around.image.token_width, self.tokenizer.size)
        nn.init.trunc_normal_(self.head.weight, std=0.02)  # as BEiT's code
        nn.init.zeros_(self.head.bias)
        self.view = named.tokenised(around.image.size)
        self.wants = {"image": Encode("image", view=self.view, keep=masking)}

    def prepare(self, batches: Iterator[Batch]) -> None:
        """Train the tokenizer, or take over a trained one."""
        if self.weights:
            self.tokenizer.load(Path(self.weights))
            return
        assert isinstance(self.tokenizer, VqTokenizer)
        self.tokenizer.fit((batch.views[self.view] for batch in batches), self.preparation)

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        seen = encoded["image"]
        codes = self.tokenizer(batch.views[self.view])
        places = self._hidden_places(seen)
        target = codes.gather(1, places).flatten()
        tokens = seen.tokens.gather(1, places[..., None].expand(-1, -1, seen.tokens.shape[-1])).flatten(0, 1)
        loss, right = self._scored(tokens, target)
        used, perplexity = _usage(codes, self.tokenizer.size)
        metrics = {"accuracy": right, "codes_used": used, "code_perplexity": perplexity}
        if isinstance(self.tokenizer, VqTokenizer):
            metrics["tokenizer_explained"] = self.tokenizer.explained.clone()
        return Term(loss, metrics)

    @torch.no_grad()
    def pictures(
        self, encoded: Mapping[str, Encoded], batch: Batch
    ) -> Mapping[str, UInt8[Tensor, "b 3 h w"]]:
        """The original; what the tower saw; hidden patches as the predicted codes paint them; all true codes.

        The published dVAE has no decoder here: nothing is shown of it.
        """
        if not isinstance(self.tokenizer, VqTokenizer):
            return {}
        seen, images, grid = encoded["image"], batch.views[self.view], self.around.image.grid
        assert seen.hidden is not None
        codes, hidden = self.tokenizer(images), seen.hidden[..., None]
        guessed = torch.where(seen.hidden, self.head(seen.tokens).argmax(dim=-1), codes)
        size = self.tokenizer.patch_size
        patches, painted = patchify(images, size), patchify(self.tokenizer.paint(guessed, grid), size)
        return {
            "original": images,
            "masked": unpatchify(torch.where(hidden, _GREY, patches), grid, size),
            "reconstructed": unpatchify(torch.where(hidden, painted, patches), grid, size),
            "tokenised": self.tokenizer.paint(codes, grid),
        }

    def _hidden_places(self, seen: Encoded) -> Int64[Tensor, "b hidden"]:
        """Positions of hidden patches, ascending; every row has as many."""
        assert seen.hidden is not None, "the tower says what it did not see"
        return torch.argsort(seen.hidden, dim=1, descending=True, stable=True)[:, : self.hidden]

    def _scored(
        self, tokens: Float[Tensor, "m w"], target: Int64[Tensor, " m"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The loss and the share of right answers; logits that would fill the memory are not kept."""
        rows = max(1, _MOST_LOGITS // self.tokenizer.size)
        if len(tokens) <= rows:
            return self._part(tokens, target)
        parts = [
            (len(part), *checkpoint(self._part, part, codes, use_reentrant=False))
            for part, codes in zip(tokens.split(rows), target.split(rows), strict=True)
        ]
        loss = torch.stack([n * part for n, part, _ in parts]).sum() / len(tokens)
        return loss, torch.stack([n * right for n, _, right in parts]).sum() / len(tokens)

    def _part(
        self, tokens: Float[Tensor, "m w"], target: Int64[Tensor, " m"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        logits = self.head(tokens)
        right = (logits.detach().argmax(dim=1) == target).float().mean()
        return code_prediction(logits, target), right


def _usage(codes: Int64[Tensor, "b n"], size: int) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """How many codes a batch has, and as how many equally frequent ones they count: exp of the entropy."""
    one = torch.ones_like(codes.flatten(), dtype=torch.float32)
    counts = torch.zeros(size, dtype=one.dtype, device=codes.device).index_add_(0, codes.flatten(), one)
    counts = distributed.world_size() * distributed.mean(counts)
    return (counts > 0).sum().float(), torch.special.entr(counts / counts.sum()).sum().exp()


def _check(image: ImageFacts, masking: Masking, least: int) -> None:
    if image.patch_size is None or not image.maskable:
        raise SightwordError(
            "beit needs a ViT with a patch stem, and this image tower cannot hide patches; "
            "try --model vit-tiny, vit-s16 or vit-b16"
        )
    if not 0 < masking.ratio < 1 or count_hidden(masking, image.grid[0] * image.grid[1]) == 0:
        raise SightwordError(
            f"beit(ratio={masking.ratio}) hides none or all of {image.grid[0]} x {image.grid[1]} patches; "
            "give a share between 0 and 1, such as 0.4"
        )
    if least < 1:
        raise SightwordError(
            "beit needs two codes or more, and code_width, tokenizer_width and tokenizer_steps above zero"
        )
