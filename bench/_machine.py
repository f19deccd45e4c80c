"""What figures were taken on: the processor's name and versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from _results import processor

PACKAGES = ("torch", "sightword", "timm", "open_clip_torch", "torchvision")


def described(device: torch.device) -> dict[str, Any]:
    """The machine in words and the versions of what is compared."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": name,
        "system": platform.system(),
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        "allocator": Path(os.environ.get("LD_PRELOAD", "").split(":")[0]).name,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of everything that the figures depend on; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | {"torch": torch.__version__}
