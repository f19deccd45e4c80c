"""Every corruption, and the one way to apply it. A new one is a function and one more line here."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from sightword.evaluation.corruptions import blurs, digital, noise, weather
from sightword.evaluation.corruptions.pixels import PAPER_SIZE, Corrupt
from sightword.randomness import stream

SEVERITIES = (1, 2, 3, 4, 5)
CORRUPTIONS: dict[str, Corrupt] = {
    corrupt.__name__: corrupt
    for corrupt in (
        noise.gaussian_noise,
        noise.shot_noise,
        noise.impulse_noise,
        blurs.defocus_blur,
        blurs.glass_blur,
        blurs.motion_blur,
        blurs.zoom_blur,
        weather.snow,
        weather.fog,
        weather.brightness,
        digital.contrast,
        digital.elastic_transform,
        digital.pixelate,
        digital.jpeg_compression,
    )
}


def corrupted(
    picture: UInt8[np.ndarray, "h w 3"], corruption: str, severity: int, key: str
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture with one of ImageNet-C's corruptions; always the same for one key.

    Parameters are those of the paper's code for 224 pixels. Deviation: lengths in pixels shrink and grow with
    the shorter side, so that pictures of any size look as hard; levels of noise and JPEG's quality stay. The
    outcome is not stored as a JPEG, as the published data set is, which adds some of that to all.

    Args:
        picture: as the model will see it.
        corruption: its name in `CORRUPTIONS`.
        severity: 1 to 5.
        key: the sample's, which all chance comes from.
    """
    chance = np.random.Generator(np.random.Philox(key=stream("corruption", corruption, severity, key)))
    unit = min(picture.shape[:2]) / PAPER_SIZE
    made = CORRUPTIONS[corruption](picture.astype(np.float32) / 255, severity, chance, unit)
    return (made.clip(0, 1) * 255).round().astype(np.uint8)
