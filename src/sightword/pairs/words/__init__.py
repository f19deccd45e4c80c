"""Captions, and how they become tokens."""
