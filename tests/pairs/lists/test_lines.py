from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightword.errors import SightwordError
from sightword.pairs.lists.lines import records, separator_of, text_lines
from sightword.pairs.reading import Reading


def _read(tmp_path, content: str | bytes, separator=","):
    file = tmp_path / "t.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    refused: list[tuple[int, str]] = []
    return list(records(file, separator, lambda line, why: refused.append((line, why)))), refused


def test_quotes_hold_separators_and_line_ends(tmp_path):
    found, refused = _read(tmp_path, '\ufeffa,b\r\n1,"x, ""y""\nz"\r\n\r\n2,é\r\n')
    assert found == [["a", "b"], ["1", 'x, "y"\nz'], ["2", "é"]]
    assert not refused


def test_wrong_lines_are_told_with_their_numbers(tmp_path):
    found, refused = _read(tmp_path, "a,b\n1,2\n3\n4,5\n6,7,8\n9,0")
    assert found == [["a", "b"], ["1", "2"], ["4", "5"], ["9", "0"]]
    assert refused == [
        (3, "has 1 columns where the header has 2"),
        (5, "has 3 columns where the header has 2"),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('1,"never closed', ["1", '"never closed']),
        ('1,"closed" too soon', ["1", '"closed" too soon']),
        ('1,"two, columns" too many', None),
        ('1,2,"', None),
    ],
)
def test_a_quote_never_swallows_the_lines_after_it(tmp_path, line, found):
    rest = [[f"k{i}", f"caption {i}"] for i in range(9000)]  # more text than csv takes for one value
    text = "\n".join(["a,b", line, *(",".join(row) for row in rest)])
    got, refused = _read(tmp_path, text)
    assert got == [["a", "b"], *([found] if found else []), *rest]
    assert [number for number, _ in refused] == ([] if found else [2])


_texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r"), max_size=8)


@given(st.lists(st.lists(_texts, min_size=3, max_size=3), min_size=1, max_size=8), st.sampled_from(",\t;"))
def test_what_the_csv_module_writes_is_read(tmp_path_factory, rows, separator):
    written = io.StringIO()
    csv.writer(written, delimiter=separator).writerows(rows)
    found, refused = _read(tmp_path_factory.getbasetemp(), written.getvalue(), separator)
    assert found == rows
    assert not refused


def test_not_utf8_is_one_error(tmp_path):
    file = tmp_path / "x.csv"
    file.write_bytes("a,b\n1,é\n".encode("latin1"))
    with pytest.raises(SightwordError, match=r"x.csv', line 2, is not UTF-8 \(byte 2 .* 0xe9\).*iconv"):
        list(text_lines(file))
    with pytest.raises(SightwordError, match="cannot read"):
        list(text_lines(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("name", "header", "asked", "found"),
    [
        ("x.csv", "a,b", "", ","),
        ("x.csv", "a\tb", "", "\t"),
        ("x.csv", "a;b", "", ";"),
        ("x.tsv", "a\tb, c, d", "", "\t"),
        ("x.tsv", "a,b", "", ","),
        ("x.csv", "alone", "", ","),
        ("x.csv", "a,b", "\\t", "\t"),
        ("x.csv", "a,b", "|", "|"),
    ],
)
def test_the_separator_is_found_out(tmp_path, name, header, asked, found):
    (tmp_path / name).write_text(header + "\n1\t2,3;4\n")
    assert separator_of(tmp_path / name, Reading(separator=asked)) == found


def test_a_long_separator_is_refused(tmp_path):
    with pytest.raises(SightwordError, match="--csv-separator"):
        separator_of(tmp_path / "x.csv", Reading(separator="::"))
