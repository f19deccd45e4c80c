"""Checkpoints and weights, written beside training by all its processes."""
