"""CIFAR's version for Python, read as data: where its bytes lie, and its labels. Nothing is unpickled.

Python's own `pickle` does whatever a file says. Here only the operations are known that make the dict of
plain values and one array of bytes which these files are.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, final

from sightword.errors import SightwordError
from sightword.pairs.pickled.arrays import KNOWN, Dtype, Known, Refused
from sightword.pairs.pickled.stream import CODES, NAMES, operations

_SHORT = 1 << 10  # longer strings stay in the file; a picture has 3,072 bytes


class _Place(NamedTuple):
    """A long string in the file."""

    begin: int
    end: int


@final
class _Array:
    """An array of bytes, once it is built."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.place = _Place(0, 0)


def read_batch(path: Path, labels: str) -> tuple[int, tuple[int, ...], list[int]]:
    """Where in a file its array `data` begins, the array's shape, and the list of labels.

    Args:
        path: such as `cifar-10-batches-py/data_batch_1`.
        labels: the list's name in the dict.

    Raises:
        SightwordError: when the file is damaged, wants anything imported or called, or holds something else.
    """
    try:
        found = _dict_in(path)
    except (ValueError, TypeError, LookupError, OSError) as error:
        why = str(error) if isinstance(error, Refused) else "it is damaged, or no pickle"
        raise SightwordError(
            f"'{path}' is not taken: {why}; wanted CIFAR's dict of data and labels"
        ) from error
    array, numbers = found.get("data"), found.get(labels)
    if not isinstance(array, _Array) or not isinstance(numbers, list):
        raise SightwordError(f"'{path}' holds no 'data' and '{labels}'; wanted CIFAR's dict; get it again")
    if not all(type(number) is int for number in numbers):
        raise SightwordError(f"'{path}' has labels that are no numbers; get it again")
    return array.place.begin, array.shape, numbers


def _dict_in(path: Path) -> dict[Any, Any]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        stack = _Stack(data)
        for code, begin, end in operations(data, 0):
            do = _DO.get(code)
            if do is None:
                raise Refused(f"it uses the pickle operation {NAMES[code]}, which such a file does not need")
            do(stack, begin, end)
    found = stack.values[-1]
    if type(found) is not dict:
        raise Refused(f"it holds a {type(found).__name__}, not a dict")
    return found


@final
class _Stack:
    """What the operations work on."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.values: list[Any] = []
        self.below: list[list[Any]] = []  # what lies under each mark
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.values.append(value)

    def pop(self, count: int) -> list[Any]:
        if len(self.values) < count:
            raise Refused("it takes more from its stack than lies there")
        cut = len(self.values) - count
        taken, self.values = self.values[cut:], self.values[:cut]
        return taken

    def mark(self) -> None:
        self.below.append(self.values)
        self.values = []

    def marked(self) -> list[Any]:
        taken, self.values = self.values, self.below.pop()
        return taken

    def number(self, begin: int, end: int, signed: bool) -> int:
        return int.from_bytes(self.data[begin:end], "little", signed=signed)

    def text(self, begin: int, end: int) -> None:
        short = end - begin <= _SHORT
        self.push(self.data[begin:end].decode("latin-1") if short else _Place(begin, end))

    def remember(self, place: int) -> None:
        self.memo[place] = self.values[-1]

    def extend(self, values: list[Any]) -> None:
        if type(self.values[-1]) is not list:
            raise Refused("it adds to what is no list")
        self.values[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        if type(self.values[-1]) is not dict or not all(isinstance(key, str) for key in values[::2]):
            raise Refused("it has a dict whose keys are no names")
        self.values[-1].update(zip(values[::2], values[1::2], strict=True))

    def name(self, module: Any, name: Any) -> None:
        known = KNOWN.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if known is None:
            raise Refused(f"it wants to import {module}.{name}"[:200])
        self.push(known)

    def reduce(self) -> None:
        function, arguments = self.pop(2)
        match getattr(function, "means", None), arguments:
            case "array from nothing", (Known(), (0,), _):
                self.push(_Array())
            case "dtype", (spec, *_):
                self.push(Dtype(spec))
            case _:
                raise Refused("it calls what it may not call")

    def build(self) -> None:
        (state,) = self.pop(1)
        match self.values[-1], state:
            case Dtype(), tuple():
                return
            case _Array() as array, (int(), tuple() as shape, Dtype(spec="u1"), False, _Place() as place):
                size = 1
                for side in shape:
                    size *= side
                if size != place.end - place.begin:
                    raise Refused(f"it promises an array of {shape} in {place.end - place.begin:,} bytes")
                array.shape, array.place = shape, place
            case _:
                raise Refused("it holds an array that is not one of bytes, row by row")


Do = Callable[[_Stack, int, int], object]


def _tuple(count: int) -> Do:
    return lambda stack, begin, end: stack.push(tuple(stack.pop(count)))


def _pushed(value: object) -> Do:
    return lambda stack, begin, end: stack.push(value)


def _global(stack: _Stack, begin: int, end: int) -> None:
    stack.name(*stack.data[begin:end].decode().split("\n")[:2])


def _marked_tuple(stack: _Stack, begin: int, end: int) -> None:
    values = stack.marked()
    stack.push(tuple(values))


_STRINGS = "BINSTRING SHORT_BINSTRING SHORT_BINUNICODE BINUNICODE SHORT_BINBYTES BINBYTES BINBYTES8"
_BY_NAME: dict[str, Do] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda s, a, b: None),
    **dict.fromkeys(_STRINGS.split(), lambda s, a, b: s.text(a, b)),
    **dict.fromkeys(("BININT1", "BININT2"), lambda s, a, b: s.push(s.number(a, b, signed=False))),
    "BININT": lambda s, a, b: s.push(s.number(a, b, signed=True)),
    "NONE": _pushed(None),
    "NEWTRUE": _pushed(True),
    "NEWFALSE": _pushed(False),
    "MARK": lambda s, a, b: s.mark(),
    "EMPTY_LIST": lambda s, a, b: s.push([]),
    "EMPTY_DICT": lambda s, a, b: s.push({}),
    "EMPTY_TUPLE": _tuple(0),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": _marked_tuple,
    "APPEND": lambda s, a, b: s.extend(s.pop(1)),
    "APPENDS": lambda s, a, b: s.extend(s.marked()),
    "SETITEM": lambda s, a, b: s.set_items(s.pop(2)),
    "SETITEMS": lambda s, a, b: s.set_items(s.marked()),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda s, a, b: s.push(s.memo[s.number(a, b, signed=False)])),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda s, a, b: s.remember(s.number(a, b, signed=False))),
    "MEMOIZE": lambda s, a, b: s.remember(len(s.memo)),
    "GLOBAL": _global,
    "STACK_GLOBAL": lambda s, a, b: s.name(*s.pop(2)),
    "REDUCE": lambda s, a, b: s.reduce(),
    "BUILD": lambda s, a, b: s.build(),
}
_DO = {CODES[name]: do for name, do in _BY_NAME.items()}
