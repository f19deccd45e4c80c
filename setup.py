"""Builds the native view kernel where a C compiler is; without one the installation goes on without it.

The kernel is a plain shared library loaded by ctypes, so neither Python's headers nor libjpeg's are
needed. One binary holds code for several sets of instructions and chooses when it runs.
"""

from setuptools import Extension, setup

NATIVE = "src/sightword/views/native/"

setup(
    ext_modules=[
        Extension(
            "sightword.views.native._kernel",
            sources=[NATIVE + name for name in ("kernel.c", "axis.c", "jpeg.c", "huffman.c")],
            depends=[NATIVE + name for name in ("kernel.h", "pixels.h", "transpose.h", "jpeg62.h", "huffman.h")],
            # Floating point as it is written: the same pixels on every processor and from the Python code.
            extra_compile_args=[
                "-std=gnu11",
                "-O3",
                "-ffp-contract=off",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-ffinite-math-only",
                "-fno-signed-zeros",
            ],
            libraries=["m", "dl"],
            optional=True,
        )
    ]
)
