"""`sightword export`: a trained model in a form that other software takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from sightword.cli.flags import arg


@dataclass(frozen=True)
class Export:
    """Write a trained model in a form that other software takes, and verify it before it is there.

    sightword export runs/slip --to open_clip
    sightword export runs/slip --to onnx --licence apache-2.0 --out slip-onnx
    sightword export openai/ViT-B-32.pt --to hf --out clip-hf
    """

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """the directory of a run, a file of weights there, or weights from elsewhere"""
    to: Annotated[str, arg(metavar="open_clip|hf|timm|onnx|safetensors")]
    """for whom: open_clip, transformers, timm, ONNX Runtime, or sightword without the rest of the run"""
    out: Annotated[str, arg(metavar="DIR")] = ""
    """the folder to write (default: RUN/export/FORM); an earlier export there is replaced"""
    licence: Annotated[str, arg(metavar="NAME", aliases=("--license",))] = ""
    """of the weights, for the model card, such as apache-2.0"""


def run(flags: Export) -> None:
    """Export, and print what was compared and where the folder lies.

    Raises:
        SightwordError: the form cannot hold the model, or the exported model's features are not the run's.
    """
    from sightword.export.exporting import export

    done = export(flags.run, flags.to, Path(flags.out) if flags.out else None, flags.licence)
    print("\n".join(done.lines()))
