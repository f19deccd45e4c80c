"""sightword: pre-train image encoders by word and by sight, and measure whether the sight paid.

    model = sightword.load("runs/slip")
    model.encode_image(images), model.encode_text(["a dog"])
    sightword.train(config), sightword.evaluate(model, Path("runs/slip"), ["demo"], ["zeroshot"])

Imports are lazy: `import sightword` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightword.evaluation.run import evaluate
    from sightword.training.loop import train
    from sightword.use.model import load

__all__ = ["__version__", "evaluate", "load", "train"]
__version__ = "0.1.0"
_LAZY = {
    "load": ("sightword.use.model", "load"),
    "train": ("sightword.training.loop", "train"),
    "evaluate": ("sightword.evaluation.run", "evaluate"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'sightword' has no attribute '{name}'")
    module, function = _LAZY[name]
    return getattr(import_module(module), function)
