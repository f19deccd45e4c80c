"""Every layout that is known. A new one is one more file and one more line here."""

from __future__ import annotations

from sightword.evaluation.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = ()
