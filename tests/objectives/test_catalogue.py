"""Objectives are found by their files, the user's too; bad files and options are refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import sightword.objectives
from sightword.errors import SightwordError
from sightword.objectives import catalogue
from sightword.objectives.grammar import Weighted
from sightword.words import ImageFacts, Surroundings, TextFacts

IMAGE = ImageFacts(
    width=8,
    token_width=8,
    size=16,
    grid=(4, 4),
    patch_size=4,
    maskable=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)
AROUND = Surroundings(IMAGE, TextFacts(width=8, vocab=50, context=12, pad=0, eot=49, maskable=False))

OWN = '''
    """Brightness: a user's own idea.

    More words.
    """

    from typing import Literal

    import torch

    from sightword.objectives.base import Objective
    from sightword.words import Encode, Term, View


    class Brightness(Objective):
        def __init__(
            self, around, *, power: float = 1.0, kind: Literal["one", "two"] = "one", on: bool = True
        ):
            super().__init__(around)
            self.power, self.kind, self.on = power, kind, on
            self.wants = {"image": Encode("image", view=View(around.image.size))}

        def forward(self, encoded, batch, joint):
            return Term(encoded["image"].pooled.pow(self.power).mean(), {})
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a user's objectives, named by SIGHTWORD_PATH; nothing of it is left afterwards."""
    folder = tmp_path / "objectives"
    folder.mkdir()
    monkeypatch.setenv("SIGHTWORD_PATH", os.pathsep.join(["", str(tmp_path)]))
    monkeypatch.setattr(sightword.objectives, "__path__", list(sightword.objectives.__path__))
    for name in [name for name in sys.modules if name.startswith("sightword.objectives.own")]:
        del sys.modules[name]
    return folder


def write(folder: Path, text: str, name: str = "own_idea.py") -> None:
    (folder / name).write_text(dedent(text).lstrip("\n"), encoding="utf-8")


def test_every_file_with_an_objective_is_listed_and_nothing_else() -> None:
    folder = Path(sightword.objectives.__file__).parent
    files = {file.stem.replace("_", "-") for file in folder.glob("*.py")}
    seam = {"--init--", "base", "catalogue", "grammar"}
    assert set(catalogue.names()) == files - seam
    assert {"clip", "simclr", "mae"} <= set(catalogue.names())


def test_each_is_told_in_one_line() -> None:
    for name in catalogue.names():
        line = catalogue.about(name)
        assert line.endswith(".")
        assert ": " in line


def test_listing_and_parsing_import_no_torch() -> None:
    program = (
        "import sys; from sightword.objectives import catalogue as c; c.parse('clip + 0.5 * mae'); "
        "[c.about(n) for n in c.names()]; assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_sum_is_parsed_with_known_names_only() -> None:
    assert catalogue.parse("clip + 0.5*mae") == (Weighted("clip"), Weighted("mae", 0.5))
    with pytest.raises(SightwordError, match="unknown objective 'simclar'; did you mean simclr"):
        catalogue.parse("clip + simclar")
    for part_of_the_seam in ("base", "grammar", "catalogue"):
        with pytest.raises(SightwordError, match="unknown objective"):
            catalogue.parse(part_of_the_seam)


def test_options_reach_the_constructor_as_their_types() -> None:
    objective = catalogue.build(Weighted("simclr", options=(("hidden", 16), ("temperature", 1))), AROUND)
    assert objective.temperature == 1.0
    assert isinstance(objective.temperature, float)
    assert objective.projector[0].out_features == 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simclr(temprature=0.2)", "objective simclr.*'temprature'; did you mean temperature"),
        ("simclr(hidden=1.5)", "hidden must be int, found 1.5"),
        ("simclr(temperature=hot)", "temperature must be float, found 'hot'"),
        ("simclr(temperature=true)", "temperature must be float, found True"),
        ("simclr(temperature=0)", "above zero"),
        ("mae(kind=blocks)", "did you mean block"),
        ("mae(ratio=1)", "share between 0 and 1"),
        ("mae(decoder_width=30, decoder_heads=4)", "multiple of the heads"),
        ("clip(around=1)", "unknown"),
    ],
)
def test_wrong_options_are_refused(text: str, message: str) -> None:
    (term,) = catalogue.parse(text)
    with pytest.raises(SightwordError, match=message):
        catalogue.build(term, AROUND)


def test_a_users_file_is_an_objective_like_any_other(own: Path) -> None:
    write(own, OWN)
    assert "own-idea" in catalogue.names()
    assert catalogue.about("own-idea") == "Brightness: a user's own idea."
    (term,) = catalogue.parse("0.5 * own-idea(power=2, kind=two, on=false)@10%")
    built = catalogue.build(term, AROUND)
    assert (built.power, built.kind, built.on) == (2.0, "two", False)
    assert type(built).__module__ == "sightword.objectives.own_idea"
    assert "clip" in catalogue.names()


def test_without_the_variable_the_users_file_is_gone(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(own, OWN)
    assert "own-idea" in catalogue.names()
    monkeypatch.delenv("SIGHTWORD_PATH")
    assert "own-idea" not in catalogue.names()


def test_the_same_name_in_another_folder_is_another_module(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, OWN)
    first = catalogue.load_objective("own-idea")
    other = tmp_path / "other" / "objectives"
    other.mkdir(parents=True)
    write(other, OWN.replace("class Brightness", "class Darkness"))
    monkeypatch.setenv("SIGHTWORD_PATH", str(other.parent))
    assert (first.__name__, catalogue.load_objective("own-idea").__name__) == ("Brightness", "Darkness")


def test_a_file_holds_exactly_one_concrete_class(own: Path) -> None:
    write(own, OWN.replace("def forward", "def score"))
    with pytest.raises(SightwordError, match=r"own_idea.py' must hold exactly one .*found none"):
        catalogue.load_objective("own-idea")
    (own / "own_idea.py").unlink()
    write(own, OWN + "\n\n    class Second(Brightness):\n        pass\n", "own_pair.py")
    with pytest.raises(SightwordError, match="found Brightness, Second"):
        catalogue.load_objective("own-pair")


def test_files_that_cannot_be_read_are_named(own: Path) -> None:
    write(own, "def broken(:\n", "own_broken.py")
    with pytest.raises(SightwordError, match=r"own_broken.py' is not Python"):
        catalogue.names()
    (own / "own_broken.py").unlink()
    write(own, OWN.replace("import torch\n", "import no_such_library\n"), "own_import.py")
    with pytest.raises(SightwordError, match=r"own_import.py' cannot be imported: .*no_such_library"):
        catalogue.load_objective("own-import")


def test_a_name_that_is_taken_is_refused(own: Path) -> None:
    write(own, OWN, "clip.py")
    with pytest.raises(SightwordError, match="rename one of the two"):
        catalogue.names()


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGHTWORD_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(SightwordError, match="nowhere', which is no directory"):
        catalogue.names()
