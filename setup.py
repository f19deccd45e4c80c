"""Builds the native kernels (views, networks) where a C compiler is; without one the installation goes on.

They are plain shared libraries loaded by ctypes, so neither Python's headers nor libjpeg's are
needed. A binary holds code for several sets of instructions and chooses when it runs.
"""

from setuptools import Extension, setup

NATIVE = "src/sightword/views/native/"
TOWERS = "src/sightword/towers/native/"
SOURCES = ("kernel.c", "axis.c", "jpeg.c", "huffman.c")
HEADERS = ("kernel.h", "pixels.h", "transpose.h", "huffman.h", "jpeg62.h")
TOWER_SOURCES = (
    "norm.c",
    "convolve.c",
    "weigh.c",
    "patches.c",
    "linear.c",
    "linear_weigh.c",
    "layer_norm.c",
    "attention.c",
    "attention_back.c",
    "sharing.c",
)
TOWER_HEADERS = (
    "norm.h",
    "norm_rows.h",
    "norm_bf16.h",
    "convolution.h",
    "tiles.h",
    "tiled.h",
    "linear.h",
    "layer_norm.h",
    "activation.h",
    "gelu.h",
    "attention.h",
)

# Floating point as it is written: the same pixels on every processor, and those of the Python code.
FLAGS = (
    "-std=gnu11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffinite-math-only",
    "-fno-signed-zeros",
)

setup(
    ext_modules=[
        Extension(
            "sightword.views.native._kernel",
            sources=[NATIVE + name for name in SOURCES],
            depends=[NATIVE + name for name in HEADERS],
            extra_compile_args=list(FLAGS),
            libraries=["m", "dl"],
            optional=True,
        ),
        Extension(
            "sightword.towers.native._kernel",
            sources=[TOWERS + name for name in TOWER_SOURCES],
            depends=[TOWERS + name for name in TOWER_HEADERS],
            extra_compile_args=[flag for flag in FLAGS if flag != "-ffinite-math-only"],
            libraries=["m"],
            optional=True,
        ),
    ]
)
