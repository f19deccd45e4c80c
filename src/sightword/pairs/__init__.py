"""Pairs of pictures and captions: where they lie, in which order they come, which words are used."""
