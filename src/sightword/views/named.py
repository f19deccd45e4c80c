"""The views that the papers use, by name."""

from __future__ import annotations

from sightword.words import Jitter, View

PAPER_SIZE = 224  # pixels of the views for which the papers give blur in pixels


def language(size: int) -> View:
    """What CLIP sees in SLIP's code: RandomResizedCrop(scale 0.5-1), no flip (Mu et al. 2021, 2112.12750)."""
    return View(size=size, scale=(0.5, 1.0))


def strong(size: int, draw: int = 0, blur_at: int = PAPER_SIZE) -> View:
    """What SimCLR sees in SLIP's code: the two differ by `draw`.

    RandomResizedCrop 0.08-1, jitter (.4, .4, .4, .1) at p .8, grayscale at p .2, blur of 0.1-2 pixels at
    p .5, flip. The paper's text says "MoCo v3 augmentation", but its code has neither solarisation nor
    two different views.

    Args:
        size: pixels.
        draw: 0 and 1 are SimCLR's two views.
        blur_at: the blur is 0.1-2 pixels of a view of this size. Deviation: by default a view of
            another size than 224 is blurred in proportion, for 2 pixels would wipe out a picture of 40.
            `blur_at=size` gives the papers' pixels at any size.
    """
    return View(
        size=size,
        scale=(0.08, 1.0),
        flip=0.5,
        jitter=Jitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        grayscale=0.2,
        blur=0.5,
        sigma=_sigma(size, blur_at),
        draw=draw,
    )


def asymmetric(size: int, draw: int = 0, blur_at: int = PAPER_SIZE) -> View:
    """What MoCo v3 and BYOL see (Chen et al. 2021, 2104.02057; Grill et al. 2020, 2006.07733, table 6).

    Of their two views the first (`draw` even) is always blurred; the second is blurred at p .1 and
    solarised at p .2. Jitter is (.4, .4, .2, .1). `blur_at` as for `strong`, with the same deviation.
    """
    first = draw % 2 == 0
    return View(
        size=size,
        scale=(0.08, 1.0),
        flip=0.5,
        jitter=Jitter(0.4, 0.4, 0.2, 0.1, p=0.8),
        grayscale=0.2,
        blur=1.0 if first else 0.1,
        sigma=_sigma(size, blur_at),
        solarize=0.0 if first else 0.2,
        draw=draw,
    )


def reconstruction(size: int) -> View:
    """What MAE sees: RandomResizedCrop(scale 0.2-1) and a flip (He et al. 2021, 2111.06377, table 8).

    Deviation: MAE's code resizes by bicubic interpolation, ours bilinearly as every other view.
    """
    return View(size=size, scale=(0.2, 1.0), flip=0.5)


def _sigma(size: int, blur_at: int) -> tuple[float, float]:
    return 0.1 * size / blur_at, 2.0 * size / blur_at
