"""How a tower is fine-tuned: BEiT's recipe as SLIP ran it, and DeiT's for small sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sightword.config import ImageTowerConfig, OptimizerConfig
from sightword.errors import SightwordError
from sightword.evaluation.finetune.erasing import Erasing
from sightword.evaluation.finetune.mixing import Mixing
from sightword.evaluation.finetune.randaugment import RandAugment

Size = Literal["S", "B", "L"]
LEAST_STEPS = (
    8  # an epoch of a small set has at least as many, so that its batch is smaller than the recipe's
)
_DROP_PATH = {"S": 0.0, "B": 0.1, "L": 0.1}
_LAYER_DECAY = {"S": 0.65, "B": 0.65, "L": 0.75}


@dataclass(frozen=True)
class FineTuneRecipe:
    """All that decides a fine-tuning but weights, data and seed.

    epochs, warmup: whole epochs, of which `warmup` with a linearly growing learning rate; then a cosine.
    batch, lr: samples a step, and the learning rate of the last layer at that batch.
    layer_decay: each layer below learns slower by this factor (BEiT, 2106.08254, appendix H).
    drop_path: stochastic depth of a ViT's last block, growing linearly from the first. A ResNet has none.
    smoothing: of the labels.
    mixing, augment, erasing: see there; None leaves them out.
    jitter: strength of brightness, contrast and saturation. It counts only without RandAugment: timm, and so
        BEiT's and DeiT's code, which are given .4, use one or the other.
    scale: RandomResizedCrop's share of the area.
    flip: probability of a horizontal flip; 0 where left and right matter.
    head_scale: the head begins with a truncated normal of .02 times this.
    """

    name: str
    epochs: int
    warmup: float
    batch: int
    lr: float
    layer_decay: float
    drop_path: float
    erasing: Erasing | None
    wd: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    lr_start: float = 0.0
    lr_end: float = 1e-6
    smoothing: float = 0.1
    mixing: Mixing | None = field(default_factory=Mixing)
    augment: RandAugment | None = field(default_factory=RandAugment)
    jitter: float = 0.4
    scale: tuple[float, float] = (0.08, 1.0)
    flip: float = 0.5
    head_scale: float = 0.001

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not self.lr > 0:
            raise SightwordError(
                f"cannot fine-tune for {self.epochs} epochs in batches of {self.batch} at a learning rate of"
                f" {self.lr:g}; wanted at least 1 epoch, 2 samples a batch and a rate above 0"
            )

    @classmethod
    def beit(cls, size: Size, epochs: int | None = None, batch: int = 1024) -> FineTuneRecipe:
        """What SLIP passed to BEiT's code (2112.12750, appendix A; its README, section 5.2).

        100 epochs with 20 of warm-up (L 50 with 5; the same share of other numbers), batch 1024 and lr 4e-3,
        layer decay .65 (L .75), drop path 0, .1 and .1 for S, B and L. All else is BEiT's code's default.

        Deviation: BEiT's code takes `--lr` as it is, whatever the batch; here it follows the batch linearly
        (1706.02677), since small sets need small batches.
        """
        whole, warm = (50, 5) if size == "L" else (100, 20)
        chosen = whole if epochs is None else epochs
        return cls(
            name=f"beit-{size.lower()}",
            epochs=chosen,
            warmup=warm * chosen / whole,
            batch=batch,
            lr=4e-3 * batch / 1024,
            layer_decay=_LAYER_DECAY[size],
            drop_path=_DROP_PATH[size],
            erasing=Erasing(),
        )

    @classmethod
    def deit(cls, epochs: int = 1000, batch: int = 768) -> FineTuneRecipe:
        """DeiT's for sets like CIFAR and Cars (2012.12877, table 9, with what its authors change there).

        Table 9's smoothing, RandAugment, mixup, cutmix, decay and 5 epochs of warm-up; for small sets its
        first author gives batch 768, 1000 epochs, AdamW at 7.5e-6, drop path .1 and no erasing
        (facebookresearch/deit, issue 45; facebookresearch/dino, issue 81). No layer decay.

        Deviations: no repeated augmentation; the cosine ends at 1e-6, as the code's 1e-5 lies above the peak.
        """
        return cls(
            name="deit",
            epochs=epochs,
            warmup=min(5.0, epochs / 4),
            batch=batch,
            lr=7.5e-6 * batch / 768,
            layer_decay=1.0,
            drop_path=0.1,
            erasing=None,
            lr_start=1e-6,
        )

    def fitted(self, samples: int) -> FineTuneRecipe:
        """The recipe for a set of so many samples: its own batch, or the largest power of two of which an
        epoch has at least eight; the learning rate falls with the batch."""
        most = max(2, samples // LEAST_STEPS)
        batch = min(self.batch, 1 << (most.bit_length() - 1))
        return replace(self, batch=batch, lr=self.lr * batch / self.batch)

    def at(self, factor: float) -> FineTuneRecipe:
        """The same with another learning rate."""
        return replace(self, lr=self.lr * factor)

    def from_scratch(self) -> FineTuneRecipe:
        """For fresh weights, whose layers all have as much to learn: without layer decay."""
        return replace(self, layer_decay=1.0)

    @property
    def optimizer(self) -> OptimizerConfig:
        """AdamW and its learning rate as pre-training has them; a group's own factor comes on top."""
        warmup = min(1.0, self.warmup / self.epochs)
        ends = {"lr_start": min(self.lr_start, self.lr), "lr_end": min(self.lr_end, self.lr)}
        return OptimizerConfig(lr=self.lr, wd=self.wd, betas=self.betas, warmup=warmup, **ends)

    def record(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)


def size_of(tower: ImageTowerConfig) -> Size:
    """Which of SLIP's three recipes a tower takes: by the width of a ViT; the smallest for a ResNet."""
    if tower.kind != "vit" or tower.width < 768:
        return "S"
    return "B" if tower.width < 1024 else "L"
