"""Corpora as files: packed, checked, counted, and built from what package managers serve."""
