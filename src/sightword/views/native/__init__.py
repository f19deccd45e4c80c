"""Views by compiled code: a small kernel in C, built by the ordinary installation where a compiler is."""
