from __future__ import annotations

import io
import os
import pickle
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightword.errors import SightwordError
from sightword.pairs.pickled.rows import stored_rows

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PLAIN = [
    (12345678, "Rome", "a caf\u00e9 \U0001f600 in the morning"),
    (0, "", ""),
    {"image_id": 1510438788, "captions": ["a", "b", "a"], "nothing": None, "yes": True, "no": False},
    [1, -1, 255, 256, 65535, 65536, 2**31, -(2**31), 2**63, -(2**70), 0.5, float("inf")],
    (b"", b"\x00\xff", "x" * 300, ("nested", [()]), {}),
]
ARRAYS = [
    {
        "image_id": np.int64(7),
        "n": np.str_("7.jpg"),
        "captions": np.array(["p", "longer"]),
        "f": np.float32(2),
    },
    {
        "image_id": np.uint8(7),
        "captions": np.array(["x", None], dtype=object),
        "n": np.arange(3, dtype=">i4"),
    },
    {"captions": np.array([], dtype="<U1"), "b": np.array([True, False]), "s": np.array([b"a", b"bc"])},
]


def _read(path: Path, content: bytes) -> list[Any]:
    path.write_bytes(content)
    return list(stored_rows(path))


def _python(value: Any) -> Any:
    """What NumPy's values are in Python."""
    if isinstance(value, dict):
        return {key: _python(inner) for key, inner in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_rows_come_back(tmp_path, protocol):
    assert _read(tmp_path / "a.pkl", pickle.dumps(PLAIN, protocol)) == PLAIN
    assert _read(tmp_path / "a.pkl", pickle.dumps([], protocol)) == []
    same = ["again"] * 3 + [["again"]]
    assert _read(tmp_path / "a.pkl", pickle.dumps(same * 700, protocol)) == same * 700


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpys_arrays_come_back_as_lists(tmp_path, protocol):
    wanted = [_python(row) for row in ARRAYS]
    assert _read(tmp_path / "a.pkl", pickle.dumps(ARRAYS, protocol)) == wanted
    rows = np.empty(len(ARRAYS), dtype=object)
    rows[:] = ARRAYS
    assert _read(tmp_path / "a.pkl", pickle.dumps(rows, protocol)) == wanted
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=True)
    assert _read(tmp_path / "a.npy", file.getvalue()) == wanted


def test_names_of_older_and_newer_numpy_are_the_same(tmp_path):
    written = pickle.dumps(ARRAYS, 2)
    core = b"numpy._core" if b"numpy._core" in written else b"numpy.core"
    for other in (b"numpy.core", b"numpy._core"):
        assert _read(tmp_path / "a.pkl", written.replace(core, other)) == [_python(row) for row in ARRAYS]


def test_a_plain_npy_needs_no_pickle(tmp_path):
    np.save(tmp_path / "a.npy", np.array([3, 1, 2]))
    assert list(stored_rows(tmp_path / "a.npy")) == [3, 1, 2]


class Hostile:
    """An object whose pickle calls something."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: x, lambda x: [(1, "a", x)], lambda x: [{"k": x}]])
def test_nothing_is_called(tmp_path, protocol, wrap):
    touched = tmp_path / "touched"
    calls = (
        (os.system, (f"touch {touched}",)),
        (open, (str(touched), "w")),
        (eval, (f"open({str(touched)!r}, 'w')",)),
    )
    for call in calls:
        content = pickle.dumps(wrap(Hostile(*call)), protocol)
        with pytest.raises(SightwordError, match=r"wants to import \w+\.(system|open|eval)") as error:
            _read(tmp_path / "a.pkl", content)
        assert "\n" not in str(error.value)
    array = np.empty(1, dtype=object)
    array[0] = Hostile(os.system, (f"touch {touched}",))
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(SightwordError, match=r"wants to import posix\.system"):
        list(stored_rows(tmp_path / "a.npy"))
    assert not touched.exists()
    pickle.loads(pickle.dumps(Hostile(*calls[1]))).close()  # the same bytes do open the file when unpickled
    assert touched.exists()


def _unicode(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
ATTACKS = {
    "old instance": b"(S'x'\nios\nsystem\n.",
    "object": b"(cos\nsystem\nX\x01\x00\x00\x00ao.",
    "persistent": b"Pid\n.",
    "persistent on stack": b"\x80\x02]Q.",
    "extension": b"\x82\x01.",
    "new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "reduce of a string": _unicode(b"os") + b")R.",
    "reduce of a row": b"]" + b")R.",
    "state of a name": b"cnumpy\ndtype\n}b.",
    "state of a list": b"]}b.",
    "array of pointers": RECONSTRUCT
    + b"(cnumpy\nndarray\n(I0\ntC\x01btR(I1\n(I1\ntcnumpy\ndtype\n(X\x02\x00\x00\x00O8tR"
    b"I00\nC\x08AAAAAAAAtb.",
    "structured dtype": b"cnumpy\ndtype\n(X\x02\x00\x00\x00V8tR.",
    "dtype by expression": b"cnumpy\ndtype\n(X\x10\x00\x00\x00i4,(1000000000)i4tR.",
    "name that is a list": b"]]\x93.",
    "codec": b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00zip" + b"tR.",
    "dict key": b"]}(((((ttttK\x01u.",
    "memory": b"\x80\x02]r\xff\xff\xff\xff" + b"j\xfe\xff\xff\xff.",
    "length": b"\x80\x04\x8d" + b"\xff" * 8 + b"x.",
    "bytes": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fx.",
    "bytearray": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7fx.",
    "frame": b"\x80\x04\x95" + b"\xff" * 8,
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "great number": b"\x8b\x00\x10\x00\x00" + b"\x7f" * 4096 + b".",
    "digits": b"L" + b"9" * 5000 + b"L\n.",
    "tuple": b"K\x01.",
    "underflow": b"\x86.",
    "marks": b"t.",
    "no end": b"]",
    "nothing": b"",
    "text": b"caption,url\n",
    "python 2": b"(lp0\nS'a'\np1\na.",
    "sets": b"\x80\x04\x8f.",
    "buffers": b"\x80\x05\x97.",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_in_one_line(tmp_path, attack):
    with pytest.raises(SightwordError, match="is not taken") as error:
        _read(tmp_path / "a.pkl", ATTACKS[attack])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(tmp_path))


def test_a_memory_far_away_takes_no_room(tmp_path):
    assert _read(tmp_path / "a.pkl", b"\x80\x02]r\xff\xff\xff\xff.") == []


def test_bytes_are_not_copied_without_end(tmp_path):
    big = _unicode(b"a" * 10_000) + b"q\x00"
    again = b"c_codecs\nencode\nq\x01" + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 20_000
    with pytest.raises(SightwordError, match="far more of its bytes"):
        _read(tmp_path / "a.pkl", b"](" + big + again + b"e.")


def test_deep_nesting_ends_no_process(tmp_path):
    depth = 30_000
    (row,) = _read(tmp_path / "a.pkl", b"](" + b")" + b"\x85" * depth + b"e.")
    for _ in range(depth):
        (row,) = row
    assert row == ()


def test_rows_come_while_the_file_is_read(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([(i, str(i)) for i in range(5000)])[:-1] + b"cos\nsystem\n.")
    rows: Iterator[Any] = stored_rows(path)
    assert [next(rows) for _ in range(3)] == [(0, "0"), (1, "1"), (2, "2")]
    with pytest.raises(SightwordError, match=r"os\.system"):
        list(rows)


texts = st.text()
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(values), protocol=st.sampled_from(PROTOCOLS))
def test_any_plain_rows_come_back(tmp_path_factory, rows, protocol):
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    assert _read(path, pickle.dumps(rows, protocol)) == rows


def test_damaged_files_give_rows_or_one_line(tmp_path):
    dice = random.Random(0)
    whole = [pickle.dumps(rows, protocol) for rows in (PLAIN, ARRAYS) for protocol in PROTOCOLS]
    for _ in range(800):
        content = bytearray(dice.choice(whole))
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        if dice.random() < 0.2:
            del content[dice.randint(1, len(content)) :]
        try:
            _read(tmp_path / "a.pkl", bytes(content))
        except SightwordError as error:
            assert "\n" not in str(error)  # noqa: PT017  both ends are allowed
