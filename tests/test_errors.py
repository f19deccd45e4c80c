"""Errors that travel between processes."""

from __future__ import annotations

import pickle

from sightword.errors import BadSample


def test_a_bad_sample_comes_whole_through_a_process() -> None:
    came = pickle.loads(pickle.dumps(BadSample("0007", "not a picture")))
    assert (came.key, came.reason, str(came)) == ("0007", "not a picture", "0007: not a picture")
