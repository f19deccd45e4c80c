"""The language of `--objective`: what it accepts, what it prints, and where it points when it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sightword.errors import SightwordError
from sightword.objectives.grammar import Weighted, canonical, parse

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
OPTION_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
VALUES = (
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
)
TERMS = st.tuples(
    NAMES,
    st.floats(1e-300, 1e300),
    st.decimals(0, 99, places=6).map(lambda percent: float(percent / 100)),
    st.dictionaries(OPTION_NAMES, VALUES, max_size=4).map(lambda d: tuple(sorted(d.items()))),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clip", [Weighted("clip")]),
        ("clip + 1.0 * simclr", [Weighted("clip"), Weighted("simclr")]),
        ("clip+0.1*mae", [Weighted("clip"), Weighted("mae", 0.1)]),
        (
            "clip + 0.25*masked-prediction@80%",
            [Weighted("clip"), Weighted("masked-prediction", 0.25, 0.8)],
        ),
        (
            " 2*simclr ( temperature=.2 , hidden = 512 ) @ 12.5 % ",
            [Weighted("simclr", 2.0, 0.125, (("hidden", 512), ("temperature", 0.2)))],
        ),
        (
            'x(kind=block, on=true, off=false, text="a, \\"b\\" (c)", low=-1e-3)',
            [
                Weighted(
                    "x",
                    options=(
                        ("kind", "block"),
                        ("low", -0.001),
                        ("off", False),
                        ("on", True),
                        ("text", 'a, "b" (c)'),
                    ),
                )
            ],
        ),
        ("1e-3 * Masked_Prediction", [Weighted("masked-prediction", 1e-3)]),
        ("mae()", [Weighted("mae")]),
        (
            "simclr + simclr(temperature=0.5)",
            [Weighted("simclr"), Weighted("simclr", options=(("temperature", 0.5),))],
        ),
    ],
)
def test_what_is_understood(text: str, expected: list[Weighted]) -> None:
    assert parse(text) == tuple(expected)


@given(st.lists(TERMS, min_size=1, max_size=4, unique_by=lambda term: (term[0], repr(term[3]))))
def test_the_canonical_text_says_the_same(parts: list[tuple[Any, ...]]) -> None:
    terms = tuple(Weighted(*part) for part in parts)
    text = canonical(terms)
    again = parse(text)
    assert again == terms
    assert [type(v) for t in again for _, v in t.options] == [type(v) for t in terms for _, v in t.options]
    assert canonical(again) == text


def test_the_canonical_text_is_short() -> None:
    assert canonical(parse("1.0*clip+.25 * mae( ratio=0.60 )@80.0%")) == "clip + 0.25 * mae(ratio=0.6)@80%"


@pytest.mark.parametrize(
    ("text", "column", "found", "wanted"),
    [
        ("", 1, "the end", "the name of an objective"),
        ("clip +", 7, "the end", "the name of an objective"),
        ("clip simclr", 6, "'simclr'", "'+' or the end"),
        ("clip - 0.1 * mae", 6, "'-'", "'+' or the end"),
        ("0*clip", 1, "'0'", "above zero"),
        ("clip + -1 * mae", 8, "'-1'", "above zero"),
        ("1e999 * clip", 1, "'1e999'", "above zero"),
        ("2 clip", 3, "'clip'", "'*'"),
        ("clip + 2 *", 11, "the end", "the name of an objective"),
        ("clip + $x", 8, "'$x'", "the name of an objective"),
        ("mae(ratio)", 10, "')'", "'=' after the option 'ratio'"),
        ("mae(ratio=)", 11, "')'", "a number, true, false or a word"),
        ("mae(ratio=1 kind=x)", 13, "'kind'", "',' or ')'"),
        ("mae(ratio=1, ratio=2)", 14, "'ratio'", "not given yet"),
        ("mae(ratio=0.5", 14, "the end", "',' or ')'"),
        ("mae@", 5, "the end", "a percentage"),
        ("mae@80", 7, "the end", "'%'"),
        ("mae@100%", 5, "'100'", "below 100"),
        ("clip.mae", 5, "'.mae'", "'+' or the end"),
    ],
)
def test_errors_point_at_the_column_and_say_what_was_wanted(
    text: str, column: int, found: str, wanted: str
) -> None:
    with pytest.raises(SightwordError) as error:
        parse(text)
    message = str(error.value)
    assert f"column {column}: found {found}, wanted" in message
    assert wanted in message
    assert "\n" not in message


def test_the_same_term_twice_is_refused() -> None:
    with pytest.raises(SightwordError, match=r"'mae\(ratio=0.5\)' stands twice"):
        parse("mae(ratio=0.5) + clip + 2 * mae(ratio = 0.5)")


@example('"\n"')
@example('x(a="\n")')
@given(st.text(alphabet="clipmae+*@%(),=. 01-\"\\'\n$", max_size=30))
def test_any_text_is_understood_or_refused_in_one_line(text: str) -> None:
    try:
        terms = parse(text)
    except SightwordError as error:
        said = str(error)
    else:
        said = ""
        assert parse(canonical(terms)) == terms
    assert "\n" not in said
