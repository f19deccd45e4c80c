"""NumPy's way of writing arrays, dtypes and scalars into a pickle, understood without its functions.

The names that such a pickle imports stand here for our own builders; plain dtypes and one dimension only. An
array comes out as a list.
"""

from __future__ import annotations

import re
from typing import Any, Literal, final

import numpy as np

Name = Literal["array from nothing", "array from bytes", "array", "dtype", "scalar", "encode", "no bytes"]
_CORES = ("numpy.core", "numpy._core")  # before and since NumPy 2
_PLAIN = re.compile(r"[<>|=]?(?:[biu][1248]|f[248]|[SU]\d{1,6}|O8?)")


class Refused(ValueError):  # noqa: N818  the reader refuses; the program is not in error
    """Why a file is not read, as the end of a sentence that begins with the file's name."""


@final
class Known:
    """A name that a pickle may import. It cannot be called and takes no attributes."""

    __slots__ = ("means",)

    def __init__(self, means: Name) -> None:
        self.means = means


@final
class Dtype:
    """A plain dtype: numbers, strings, or any values."""

    __slots__ = ("order", "spec")

    def __init__(self, spec: object) -> None:
        if not isinstance(spec, str) or not _PLAIN.fullmatch(spec):
            kind = spec[:40] if isinstance(spec, str) else type(spec).__name__
            raise Refused(f"it holds an array of the kind '{kind}', which is not plain")
        self.spec, self.order = spec.lstrip("<>|="), "<"

    @property
    def of_objects(self) -> bool:
        return self.spec.startswith("O")

    def decode(self, data: object) -> list[Any]:
        """The values in bytes, as Python's."""
        if self.of_objects or not isinstance(data, bytes):
            raise Refused("it holds an array whose values are not where they should be")
        if self.spec.startswith("U"):  # NumPy's own decoder trusts what is no Unicode
            letters = np.frombuffer(data, dtype=f"{self.order}u4").reshape(-1, int(self.spec[1:]) or 1)
            coding = "utf-32-be" if self.order == ">" else "utf-32-le"
            return [word.tobytes().decode(coding, "replace").rstrip("\0") for word in letters]
        return np.frombuffer(data, dtype=self.order + self.spec).tolist()


@final
class Array(list[Any]):
    """An array's values in order, once it is built; `size` is how many its shape promises."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def fill(self, shape: object, dtype: object, values: object) -> int:
        """Take the values. Returns how many bytes were copied."""
        match shape, dtype:
            case (int() as size,), Dtype():
                self.size = size
            case _:
                raise Refused("it holds an array that has not one dimension and one plain kind")
        if dtype.of_objects:
            if type(values) is not list:
                raise Refused("it holds an array whose values are not where they should be")
            self.extend(values)
            return len(values)
        self.extend(dtype.decode(values))
        return len(values) if isinstance(values, bytes) else 0


KNOWN = {
    ("numpy", "ndarray"): Known("array"),
    ("numpy", "dtype"): Known("dtype"),
    ("_codecs", "encode"): Known("encode"),
    ("__builtin__", "bytes"): Known("no bytes"),
    ("builtins", "bytes"): Known("no bytes"),
    **{(f"{core}.multiarray", "_reconstruct"): Known("array from nothing") for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): Known("scalar") for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): Known("array from bytes") for core in _CORES},
}


def call(function: object, arguments: object) -> tuple[Any, int]:
    """What a name with arguments stands for, and how many bytes were copied to make it."""
    means = function.means if isinstance(function, Known) else None
    match means, arguments:
        case "array from nothing", (Known(), (0,), _):
            return Array(), 0
        case "array from bytes", (bytes() as data, dtype, shape, "C" | "F"):
            array = Array()
            return array, array.fill(shape, dtype, data)
        case "dtype", (spec, *_):
            return Dtype(spec), 0
        case "scalar", (Dtype() as dtype, bytes() as data):
            (value,) = dtype.decode(data)
            return value, len(data)
        case "no bytes", ():
            return b"", 0
        case "encode", (str() as text, "latin1"):  # bytes, before pickles had an operation for them
            return text.encode("latin-1"), len(text)
    raise Refused("it calls what it may not call")


def build(target: object, state: object) -> int:
    """Give an array or a dtype its state. Returns how many bytes were copied."""
    match target, state:
        case Dtype(), (int(), "<" | ">" | "|" | "=" as order, None, None, None, int(), int(), int()):
            target.order = "<" if order in "|=" else order
            return 0
        case Array(), (int(), shape, Dtype() as dtype, bool(), values) if not target:
            return target.fill(shape, dtype, values)
    raise Refused("it gives a state to what has none")
