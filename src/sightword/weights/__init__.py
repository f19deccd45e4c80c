"""Weights of other libraries, by our names and by theirs."""
