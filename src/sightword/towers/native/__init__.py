"""Passes of networks by compiled code: small kernels in C, built where a compiler is."""
