"""A model for use: what `sightword.load` gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final, overload

import torch
from jaxtyping import Float
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.labelled import PLAIN
from sightword.evaluation.zeroshot import class_embeddings, filled
from sightword.training.model import Model, load_model
from sightword.use.answers import Classified, Ranked
from sightword.use.pictures import Picture, Pictures, squares


@final
class UsableModel(Model):
    """A model that takes pictures as you have them, and answers questions about them.

        model = sightword.load("runs/slip")
        model.classify("pet.jpg", ["cat", "dog"], ["a photo of a {}."]).best    # ["dog"]
        model.rank(["a.jpg", "b.jpg"], "a red bus").order                       # tensor([1, 0])

    Pictures are paths, bytes of files, PIL pictures, uint8 arrays (h, w, 3) or uint8 tensors (3, h, w), one
    or several, of any sizes. They are resized, cropped and normalised as the model wants them
    (`preparation`): do not normalise them before. Features are float32 on the CPU.
    """

    def __init__(self, model: Model) -> None:
        vars(self).update(vars(model))  # the same model: it knows what that one knows

    def encode_image(self, images: Pictures, project: bool = False) -> Float[Tensor, "b d"]:
        """Features of pictures.

        Args:
            images: one or several.
            project: True for the joint space, where captions are, scaled to length 1; False for the image
                tower's own feature, which probes and neighbours want.

        Raises:
            SightwordError: a picture cannot be read; or `project`, and the model knows no captions.
        """
        return torch.cat(
            [Model.encode_image(self, some, project) for some in squares(images, self.preparation)]
        )

    def classify(
        self, images: Pictures, classes: Sequence[str], templates: Sequence[str] | None = None
    ) -> Classified:
        """Which class each picture shows, without training (CLIP, arXiv 2103.00020, section 3.1).

        Args:
            images: one or several.
            classes: their names, as a caption would say them.
            templates: sentences with `{}` where the name goes, which are averaged; the bare name by default,
                as `sightword evaluate` does for folders of yours. Models of photographs with captions do
                better with, for example, ["a photo of a {}."].

        Returns:
            probabilities by the model's own temperature: which class, if it is one of these.

        Raises:
            SightwordError: a picture cannot be read, there are no classes or one comes twice, a template
                has no place for the name, or the model knows no captions.
        """
        prompts = _prompts(classes, PLAIN if templates is None else templates)
        embeddings = class_embeddings(self.encode_text, prompts)
        scale = self._joint().scale().detach().float().cpu()
        logits = scale * self.encode_image(images, project=True) @ embeddings.T
        return Classified(tuple(classes), logits.softmax(dim=1))

    @overload
    def rank(self, images: Pictures, texts: str) -> Ranked: ...  # type: ignore[overload-overlap]
    @overload
    def rank(self, images: Pictures, texts: Sequence[str]) -> list[Ranked]: ...
    def rank(self, images: Pictures, texts: str | Sequence[str]) -> Ranked | list[Ranked]:
        """Put pictures in order by how well they go with a sentence; with several sentences, once for each.

        Raises:
            SightwordError: a picture cannot be read, or the model knows no captions.
        """
        alone = isinstance(texts, str)
        features = self.encode_image(images, project=True)
        cosines = self.encode_text([texts] if isinstance(texts, str) else texts) @ features.T
        ranked = [Ranked.of(row) for row in cosines]
        return ranked[0] if alone else ranked

    def rank_texts(self, texts: Sequence[str], image: Picture) -> Ranked:
        """Put sentences in order by how well they go with one picture; errors as `rank`."""
        if isinstance(texts, str):
            raise SightwordError(f"rank_texts wants several sentences, found one: '{texts}'; give a list")
        features = self.encode_image(image, project=True)
        if len(features) != 1:
            raise SightwordError(f"rank_texts wants one picture, found {len(features)}; ask for each")
        return Ranked.of(self.encode_text(texts) @ features[0])


def load(run: str | Path, device: str = "auto") -> UsableModel:
    """A trained model, for use.

    Args:
        run: whatever `sightword.training.model.load_model` takes: a run's directory, or a file of weights.
        device: where it computes; `auto` is CUDA where there is one.

    Raises:
        SightwordError: there are no weights, or they cannot be read.
    """
    return UsableModel(load_model(run, device))


def _prompts(classes: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    for name, given in (("classes", classes), ("templates", templates)):
        if isinstance(given, str):
            raise SightwordError(f"{name} wants a list, found '{given}'; write {name}=['{given}', ...]")
        if not len(given):
            raise SightwordError(f"{name} is empty; give at least one")
    twice = [name for i, name in enumerate(classes) if name in classes[:i]]
    if twice:
        raise SightwordError(f"the class '{twice[0]}' comes twice; leave one of them out")
    return [[filled(template, name, "the templates given") for template in templates] for name in classes]
