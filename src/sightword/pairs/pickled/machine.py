"""A machine that knows the pickle operations which make plain values, and no others.

Rows are handed out as they are read, and of what a pickle remembers only what it asks for again is kept, so
15 million rows need little memory.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, final

from sightword.pairs.pickled.arrays import KNOWN, Array, Refused, build, call
from sightword.pairs.pickled.stream import CODES, NAMES, operations

_LONGEST_INTEGER = 64  # bytes or digits
_KEYS = (str, bytes, int, float, bool, type(None))  # a nested tuple as a key could be hashed beyond the stack
_COPIES = 4  # how often a pickle's bytes may be copied into arrays


@final
class Machine:
    """A stack, what is remembered, and the first list that is begun: the one whose entries are the rows."""

    def __init__(self, data: mmap.mmap, start: int) -> None:
        self.data, self.start = data, start
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # what lies under each mark
        self.memo: dict[int, Any] = {}
        self.remembered = 0
        self.asked_for = frozenset[int]()  # places in the memo
        self.rows_list: list[Any] | None = None
        self.count = 0  # rows handed out
        self.budget = _COPIES * len(data)

    def rows(self) -> Iterator[Any]:
        """The entries of the list, or of the array, that the pickle is.

        Raises:
            Refused: it wants more than plain values, or is no list.
            Exception: it is damaged (IndexError, KeyError, TypeError, ValueError).
        """
        every = operations(self.data, self.start)
        self.asked_for = frozenset(_PLACES[code](self.data[a:b]) for code, a, b in every if code in _PLACES)
        for code, begin, end in operations(self.data, self.start):
            do = _DO.get(code)
            if do is None:
                raise Refused(f"it uses the pickle operation {NAMES[code]}, which makes more than values")
            do(self, self.data[begin:end])
            if code in _ADDS and self.rows_list:
                self.count += len(self.rows_list)
                yield from self.rows_list
                self.rows_list.clear()
        self._finish()

    def _finish(self) -> None:
        found = self.stack[-1] if self.stack else None
        if isinstance(found, Array):
            if found.size != self.count:
                raise Refused(f"it promises {found.size:,} rows and holds {self.count:,}")
        elif self.rows_list is None or found is not self.rows_list:
            raise Refused(f"it holds a {type(found).__name__}, not a list of rows")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """The upmost values, taken off."""
        if len(self.stack) < count:
            raise Refused("it takes more from its stack than lies there")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """Everything above the last mark, taken off with the mark."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def remember(self, place: int) -> None:
        self.remembered += 1
        if place in self.asked_for:
            self.memo[place] = self.stack[-1]

    def begin_list(self, values: list[Any]) -> None:
        if self.rows_list is None:
            self.rows_list = values
        self.push(values)

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Refused(f"it adds to a {type(target).__name__} as to a list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target, keys = self.stack[-1], values[::2]
        if type(target) is not dict or not all(isinstance(key, _KEYS) for key in keys):
            raise Refused("it has a dict whose keys are not plain")
        target.update(zip(keys, values[1::2], strict=True))

    def begin_dict(self, values: list[Any]) -> None:
        self.push({})
        self.set_items(values)

    def name(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("it wants to import what is no name")
        known = KNOWN.get((module, name))
        if known is None:
            raise Refused(f"it wants to import {module}.{name}"[:200])
        self.push(known)

    def reduce(self) -> None:
        function, arguments = self.pop(2)
        value, cost = call(function, arguments)
        self._pay(cost)
        self.push(value)

    def build(self) -> None:
        (state,) = self.pop(1)
        self._pay(build(self.stack[-1], state))

    def _pay(self, cost: int) -> None:
        self.budget -= cost
        if self.budget < 0:
            raise Refused("it makes far more of its bytes than there are")


Do: TypeAlias = Callable[[Machine, bytes], object]


def _integer(data: bytes) -> int:
    if len(data) > _LONGEST_INTEGER:
        raise Refused(f"it holds an integer of {len(data):,} bytes")
    return int.from_bytes(data, "little", signed=True)


def _unsigned(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _digits(data: bytes) -> int | bool:
    if data in (b"00\n", b"01\n"):
        return data == b"01\n"
    if len(data) > _LONGEST_INTEGER:
        raise Refused(f"it holds an integer of {len(data):,} digits")
    return int(data.rstrip(b"L\n"))


def _utf8(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")  # halves of surrogate pairs, which no file could hold


def _python_2(machine: Machine, data: bytes) -> None:
    raise Refused("it was written by Python 2: load it there and save it with Python 3")


def _push(decode: Callable[[bytes], Any]) -> Do:
    return lambda machine, data: machine.push(decode(data))


def _recall(decode: Callable[[bytes], int]) -> Do:
    return lambda machine, data: machine.push(machine.memo[decode(data)])


def _remember(decode: Callable[[bytes], int]) -> Do:
    return lambda machine, data: machine.remember(decode(data))


def _tuple(count: int) -> Do:
    return lambda machine, data: machine.push(tuple(machine.pop(count)))


_PLACES = {CODES["GET"]: _digits, CODES["BINGET"]: _unsigned, CODES["LONG_BINGET"]: _unsigned}
_ADDS = frozenset(CODES[name] for name in ("APPEND", "APPENDS", "LIST"))
_BY_NAME: dict[str, Do] = {
    "PROTO": lambda m, data: None,
    "FRAME": lambda m, data: None,
    "STOP": lambda m, data: None,
    "NONE": _push(lambda data: None),
    "NEWTRUE": _push(lambda data: True),
    "NEWFALSE": _push(lambda data: False),
    "INT": _push(_digits),
    "LONG": _push(_digits),
    "BININT": _push(_integer),
    "BININT1": _push(_unsigned),
    "BININT2": _push(_unsigned),
    "LONG1": _push(_integer),
    "LONG4": _push(_integer),
    "FLOAT": _push(float),
    "BINFLOAT": _push(lambda data: struct.unpack(">d", data)[0]),
    "UNICODE": _push(lambda data: data[:-1].decode("raw-unicode-escape")),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _push(_utf8)),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"), _push(bytes)),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _python_2),
    "MARK": lambda m, data: m.mark(),
    "POP": lambda m, data: m.pop(1) if m.stack else m.marked(),
    "POP_MARK": lambda m, data: m.marked(),
    "DUP": lambda m, data: m.push(m.stack[-1]),
    "EMPTY_TUPLE": _tuple(0),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda m, data: _push_marked(m),
    "EMPTY_LIST": lambda m, data: m.begin_list([]),
    "LIST": lambda m, data: m.begin_list(m.marked()),
    "APPEND": lambda m, data: m.extend(m.pop(1)),
    "APPENDS": lambda m, data: m.extend(m.marked()),
    "EMPTY_DICT": lambda m, data: m.push({}),
    "DICT": lambda m, data: m.begin_dict(m.marked()),
    "SETITEM": lambda m, data: m.set_items(m.pop(2)),
    "SETITEMS": lambda m, data: m.set_items(m.marked()),
    "GET": _recall(_digits),
    "BINGET": _recall(_unsigned),
    "LONG_BINGET": _recall(_unsigned),
    "PUT": _remember(_digits),
    "BINPUT": _remember(_unsigned),
    "LONG_BINPUT": _remember(_unsigned),
    "MEMOIZE": lambda m, data: m.remember(m.remembered),
    "GLOBAL": lambda m, data: m.name(*data.decode().split("\n")[:2]),
    "STACK_GLOBAL": lambda m, data: m.name(*m.pop(2)),
    "REDUCE": lambda m, data: m.reduce(),
    "BUILD": lambda m, data: m.build(),
}


def _push_marked(machine: Machine) -> None:
    values = tuple(machine.marked())
    machine.push(values)


_DO = {CODES[name]: do for name, do in _BY_NAME.items()}
