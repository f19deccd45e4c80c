"""sightword: pre-train image encoders by word and by sight, and measure whether the sight paid."""

from __future__ import annotations

__version__ = "0.1.0"
