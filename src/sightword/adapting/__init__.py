"""Weights that somebody has, adapted to pairs of one's own, and what it cost elsewhere."""
