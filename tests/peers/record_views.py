"""Store what torchvision and PIL make of SLIP's views, for test_peer_views.py.

    PYTHONPATH=PEERS python tests/peers/record_views.py

with torchvision in the folder PEERS. Pictures are scikit-learn's two photographs, made small.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch
from PIL import Image
from recording import named, save
from sklearn.datasets import load_sample_image
from torchvision_schemas import load_torchvision
from torchvision_views import drawn, finished, operated

WIDTH, HEIGHT = 96, 72
DRAWS, VIEWS = 1000, 2000


def photographs() -> np.ndarray:
    """(2, 72, 96, 3)."""
    images = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    small = [image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS) for image in images]
    return np.stack([np.asarray(image) for image in small])


def main() -> None:
    load_torchvision()
    pictures = photographs()
    record = {"pictures": torch.from_numpy(pictures)}
    record |= named("drawn", drawn(DRAWS, seed=1))
    record |= named("operated", operated(pictures))
    record |= named("finished", finished(pictures, VIEWS, seed=2))
    source = f"torchvision {version('torchvision')}, Pillow {version('pillow')}"
    save(record, "views", {"views": f"{source}: SLIP's transforms as in slip_transforms.py"})


if __name__ == "__main__":
    main()
