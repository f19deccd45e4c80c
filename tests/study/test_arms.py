"""The arms of a study: what is read, what it is called, what is refused."""

from __future__ import annotations

import pytest

from sightword.errors import SightwordError
from sightword.study.arms import arms


def test_settings_of_its_own() -> None:
    first, second = arms("clip; CLIP + 1.0 * mae(ratio=0.6)@80% {lr=3e-3, model.image.pool=gap};")
    assert (first.objective, first.own) == ("clip", ())
    assert second.objective == "clip + mae(ratio=0.6)@80%"
    assert second.own == (("optimizer.lr", "3e-3"), ("model.image.pool", "gap"))
    assert second.label == "clip + mae(ratio=0.6)@80% {lr=3e-3, model.image.pool=gap}"
    assert arms(f"{first.label}; {second.label}") == (first, second)


def test_a_semicolon_within_quotes_parts_nothing() -> None:
    _, second = arms('clip; clip + simclr(note="a; b")')
    assert second.objective == 'clip + simclr(note="a; b")'


def test_folders_tell_arms_apart_and_stay_below_their_place() -> None:
    found = arms("clip; clip + simclr; clip + simclr {lr=1e-3}; clip + 0.5 * simclr")
    folders = [arm.folder for arm in found]
    assert len(set(folders)) == 4
    assert not any("/" in folder or folder.startswith(".") or " " in folder for folder in folders)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("clip; clip + 0.5 * simclr(hidden=512)@20% {lr=1e-3}", ["clip", "clip + 0.5 * simclr@20%"]),
        (
            "clip; clip + mae; clip + mae(ratio=0.6); simclr(out=64)",
            ["clip", "clip + mae", "clip + mae(ratio=0.6)", "simclr"],
        ),
        (
            "clip; clip + mae {lr=1e-3}; clip + mae {lr=2e-3}",
            ["clip", "clip + mae {lr=1e-3}", "clip + mae {lr=2e-3}"],
        ),
    ],
)
def test_names_leave_out_options_that_tell_nothing_apart(text: str, names: list[str]) -> None:
    assert [arm.name for arm in arms(text)] == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip", "found 1 in 'clip'"),
        ("clip; clip", "stands twice"),
        ("clip; clip + 1.0 * mae; clip + mae", "stands twice"),
        ("clip; clip +", "the name of an objective"),
        ("clip; simclr {lr}", "wanted NAME=VALUE"),
        ("clip; simclr {lr=1, lr=2}", "stands twice"),
        ("clip; simclr {lr=1} + mae", "cannot read the objective"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    with pytest.raises(SightwordError, match=said):
        arms(text)
