from __future__ import annotations

import pytest

from sightword.pairs.words.titles import clean_title

# What make_dataset.py of SLIP does, step by step, on what YFCC100M's table holds.
CLEANED = {
    "A+day+in+Rome": "A day in Rome",
    "caf%C3%A9+%26+bar": "café & bar",
    "C%2B%2B": "C  ",
    "see+%3Ca+href%3D%22http%3A%2F%2Fx.org%22+rel%3D%22nofollow%22%3Ehere%3C%2Fa%3E+now": "see here now",
    "%3Cb%3Ebold%3C%2Fb%3E+%3Ci%3Eit%3C%2Fi%3E+%3Cem%3Eem%3C%2Fem%3E": "bold it <em>em</em>",
    "at+http%3A%2F%2Fflickr.com%2Fphotos+and+www.x.org%2C+too": "at  and  too",
    "line%0Atwo": "line\ntwo",
    "": "",
    "https%3A%2F%2Fonly.org": "",
    "%FF": "\ufffd",
    "100%25+%zz": "100% %zz",
}


@pytest.mark.parametrize("stored", CLEANED)
def test_titles_are_cleaned_as_slip_cleans_them(stored):
    assert clean_title(stored) == CLEANED[stored]
