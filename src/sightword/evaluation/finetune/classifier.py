"""A tower with a linear head on its pooled feature."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.randomness import stream
from sightword.towers.base import ImageTower
from sightword.towers.vit import ViT
from sightword.training.model import Model
from sightword.training.setup import Equipment, build_encoders

_MASK = "mask_token"


class TunedClassifier(nn.Module):
    """Class scores of pictures.

    Attributes:
        path_draws: numbers that each row needs to drop residual branches; 0 where none are dropped.
    """

    def __init__(self, tower: ImageTower, classes: int) -> None:
        super().__init__()
        self.tower = tower
        self.head = nn.Linear(tower.facts.width, classes)
        self.path_draws = tower.path_draws if isinstance(tower, ViT) else 0

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], draws: Float[Tensor, "b draws"] | None = None
    ) -> Float[Tensor, "b classes"]:
        """Scores of every class, before softmax, float32; `draws` as `ViT.forward` takes them."""
        encoded = self.tower(images) if draws is None else self.tower(images, draws=draws)
        return self.head(encoded.pooled).float()


def make_classifier(
    model: Model, recipe: FineTuneRecipe, classes: int, seed: int, fresh: bool
) -> TunedClassifier:
    """A classifier to be trained: all of it learns, and the model itself stays as it is.

    Args:
        model: whose tower.
        recipe: its drop path, and the scale of the head.
        classes: of the head.
        seed: of the head; with the run's own seed, of fresh weights.
        fresh: True for weights drawn anew: with seed 0 those from which the run itself began.
    """
    image = replace(model.config.model.image, freeze_stem=False, mask_token=False)
    image = replace(image, drop_path=recipe.drop_path if image.kind == "vit" else 0.0)
    with torch.random.fork_rng(devices=[]):
        whole = replace(model.config.model, image=image)
        encoders = build_encoders(whole, model.tokenizer, model.config.seed + seed, Equipment(text=False))
        tower = encoders.towers["image"]
        assert isinstance(tower, ImageTower)
        torch.manual_seed(stream(seed, "fine-tuning head"))
        classifier = TunedClassifier(tower, classes)
        nn.init.trunc_normal_(classifier.head.weight, std=0.02)
    with torch.no_grad():
        classifier.head.weight.mul_(recipe.head_scale)
        classifier.head.bias.zero_()
    if not fresh:
        trained = model.encoders.towers["image"].state_dict()
        tower.load_state_dict({name: value for name, value in trained.items() if name != _MASK})
    return classifier.to(model.device)
