"""Rendered SST2 and Country211, train/valid/test of class folders; DMLab as CLIP_benchmark exports it."""

from __future__ import annotations

from pathlib import Path

import pytest
from colour_sets import square, write_tar

from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find


def write(root: Path, folders: list[str]) -> None:
    for split in ("train", "valid", "test"):
        for folder in folders:
            (root / split / folder).mkdir(parents=True)
            (root / split / folder / "0.jpg").write_bytes(f"{split} {folder}".encode())


@pytest.mark.parametrize(
    ("name", "below", "folders", "words"),
    [
        ("rendered_sst2", "rendered-sst2", ["negative", "positive"], {0: "negative", 1: "positive"}),
        (
            "country211",
            "country211",
            list(card_of("country211").ids),
            {0: "Andorra", 1: "United Arab Emirates", 34: "DR Congo", 206: "Kosovo", 210: "Zimbabwe"},
        ),
    ],
)
def test_valid_is_what_settings_are_chosen_on(
    tmp_path: Path, name: str, below: str, folders: list[str], words: dict[int, str]
) -> None:
    write(tmp_path / below, folders)
    benchmark = open_benchmark(f"{name}={find(card_of(name), tmp_path)}")
    (test,) = benchmark.tests
    for split, part in (("train", benchmark.train), ("valid", benchmark.validation), ("test", test)):
        assert part is not None
        assert part.classes is not None
        assert part.classes.of.tolist() == list(range(len(folders)))
        assert [part.read(i) for i in range(len(part))] == [
            f"{split} {name}".encode() for name in sorted(folders)
        ]
        assert {i: part.classes.names[i] for i in words} == words


def test_countries_are_in_the_order_of_their_codes() -> None:
    """ISO 3166's own names, where they are the card's too, by code (the table of the operating system)."""
    table = Path("/usr/share/zoneinfo/iso3166.tab")
    if not table.is_file():
        pytest.skip(f"'{table}' is not here")
    card = card_of("country211")
    assert list(card.ids) == sorted(card.ids)
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    at = {code: card.classes[card.ids.index(code)] for code, _ in rows if code in card.ids}
    same = [code for code, name, *_ in rows if at.get(code) == name]
    moved = [code for code, name, *_ in rows if name in card.classes and at.get(code) != name]
    assert len(same) > 170
    assert moved == []


def test_dmlab_is_opened_by_its_name(tmp_path: Path) -> None:
    names = card_of("dmlab").classes
    for split, count in (("train", 6), ("test", 2)):
        samples = [(f"s{i}", {"png": square("red", i), "cls": str(i).encode()}) for i in range(count)]
        write_tar(tmp_path / "wds_vtab-dmlab" / split / "0.tar", samples)
        (tmp_path / "wds_vtab-dmlab" / split / "nshards.txt").write_text("1\n")
    (tmp_path / "wds_vtab-dmlab" / "classnames.txt").write_text("\n".join(names) + "\n")
    benchmark = open_benchmark(f"dmlab={find(card_of('dmlab'), tmp_path)}")
    (test,) = benchmark.tests
    assert (test.name, len(test)) == ("dmlab", 2)
    assert test.classes is not None
    assert test.classes.names == names
    assert benchmark.train is not None
    assert len(benchmark.train) == 6
