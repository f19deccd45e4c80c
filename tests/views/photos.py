"""Made-up photographs for tests of views."""

from __future__ import annotations

import numpy as np
from PIL import Image


def photo(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth in the large, noisy in the small, and coloured, as photographs are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
