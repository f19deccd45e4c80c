"""Pictures of every kind that a corpus may hold, made on the spot."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def texture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours that no two seeds share: what a codec and a perceptual hash are made for."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def scenery(width: int, height: int, seed: int = 0) -> Image.Image:
    """Detail of every size, the larger the stronger, as photographs have."""
    rng = np.random.default_rng(seed)
    levels = np.full((height, width, 3), 128.0)
    for size in (2, 4, 8, 16, 32):
        noise = Image.fromarray(rng.integers(0, 256, (size + 1, size + 1, 3), dtype=np.uint8))
        layer = np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)
        levels += (layer - 128) * 1.5 / size
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def stored(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def turned(width: int, height: int) -> bytes:
    """A JPEG that EXIF says lies on its side (orientation 6)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return stored(texture(width, height), "JPEG", quality=95, exif=exif)


def transparent(width: int, height: int) -> bytes:
    """A PNG that fades out from left to right."""
    image = texture(width, height).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((width, height)))
    return stored(image)


def animated(width: int, height: int) -> bytes:
    """A GIF of two frames."""
    frames = [texture(width, height, seed).quantize(64) for seed in (1, 2)]
    return stored(frames[0], "GIF", save_all=True, append_images=frames[1:])


def deep(width: int, height: int) -> bytes:
    """A PNG of 16 bits a pixel."""
    gray = np.linspace(0, 65_535, width * height).reshape(height, width).astype(np.uint16)
    return stored(Image.fromarray(gray))


ODD = {
    "rgb.png": lambda w, h: stored(texture(w, h)),
    "rgb.jpg": lambda w, h: stored(texture(w, h), "JPEG", quality=95),
    "gray.jpg": lambda w, h: stored(texture(w, h).convert("L"), "JPEG", quality=95),
    "cmyk.jpg": lambda w, h: stored(texture(w, h).convert("CMYK"), "JPEG", quality=95),
    "palette.png": lambda w, h: stored(texture(w, h).quantize(32)),
    "lossless.webp": lambda w, h: stored(texture(w, h), "WEBP", lossless=True),
    "bitmap.bmp": lambda w, h: stored(texture(w, h), "BMP"),
    "turned.jpg": turned,
    "transparent.png": transparent,
    "animated.gif": animated,
    "deep.png": deep,
}
