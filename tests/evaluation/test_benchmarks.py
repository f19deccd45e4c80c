from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from colour_sets import COLOURS, square, write_clip_benchmark, write_folder, write_labelled_tar, write_tar
from PIL import Image

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import LabelledSet, open_benchmark
from sightword.evaluation.features import picture_of


def names_of(labelled: LabelledSet) -> list[str]:
    assert labelled.classes is not None
    return [labelled.classes.names[i] for i in labelled.classes.of]


def test_imagefolder_with_splits(folder: Path) -> None:
    benchmark = open_benchmark(str(folder))
    (test,) = benchmark.tests
    assert benchmark.train is not None
    assert (test.name, test.split, len(test)) == ("colours", "test", 36)
    assert names_of(test) == [key.split("/")[0] for key in test.keys]
    assert test.read(0) == (folder / "test" / test.keys[0]).read_bytes()
    assert test.templates == ("{}",)
    assert test.captions == ()


def test_imagefolder_without_splits_is_all_test(folder: Path) -> None:
    benchmark = open_benchmark(str(folder / "train"))
    assert benchmark.train is None
    assert [(test.name, test.split) for test in benchmark.tests] == [("train", "test")]


def test_imagefolder_text_files(folder: Path) -> None:
    (folder / "classnames.txt").write_text("\n".join(f"the colour {c}" for c in sorted(COLOURS)) + "\n\n")
    (folder / "templates.txt").write_text("a {} square\nsomething {c}\n")
    (folder / "synonyms.txt").write_text("coal\nazure, navy\n\n\ncrimson\ngold\n")
    (test,) = open_benchmark(str(folder)).tests
    assert names_of(test)[0] == "the colour black"
    assert test.templates == ("a {} square", "something {c}")
    assert test.synonyms == (("coal",), ("azure", "navy"), (), (), ("crimson",), ("gold",))


def test_folder_names_lose_their_underscores(tmp_path: Path) -> None:
    (tmp_path / "x" / "ice_cream").mkdir(parents=True)
    (tmp_path / "x" / "ice_cream" / "a.PNG").write_bytes(square("pink", 0))
    (test,) = open_benchmark(str(tmp_path / "x")).tests
    assert names_of(test) == ["ice cream"]


def test_train_and_test_share_their_names(folder: Path) -> None:
    shutil.rmtree(folder / "test" / "black")
    benchmark = open_benchmark(str(folder))
    assert benchmark.train is not None
    assert benchmark.tests[0].classes.names == benchmark.train.classes.names == tuple(sorted(COLOURS))
    assert set(names_of(benchmark.tests[0])) == set(COLOURS) - {"black"}


def test_clip_benchmark_layout(tmp_path: Path) -> None:
    (test,) = open_benchmark(str(write_clip_benchmark(tmp_path / "wds", each=4))).tests
    assert len(test) == 24
    assert test.keys[:2] == ("0/s0000000", "0/s0000002")
    assert names_of(test)[:2] == ["red", "blue"]
    assert test.read(1) == square("blue", 2)
    assert test.templates == ("a photo of {c}.", "a {c} thing")


def test_clip_benchmark_retrieval(tmp_path: Path) -> None:
    samples = [
        ("a", {"png": square("red", 0), "txt": b"one\ntwo\n"}),
        ("b", {"png": square("blue", 1), "txt": b"x"}),
    ]
    write_tar(tmp_path / "r" / "test" / "0.tar", samples)
    (tmp_path / "r" / "test" / "nshards.txt").write_text("1")
    (tmp_path / "r" / "dataset_type.txt").write_text("retrieval\n")
    (test,) = open_benchmark(str(tmp_path / "r")).tests
    assert test.classes is None
    assert test.captions == (("one", "two"), ("x",))


def test_labelled_tar(tmp_path: Path) -> None:
    benchmark = open_benchmark(str(write_labelled_tar(tmp_path / "shapes.tar")))
    assert benchmark.name == "shapes"
    assert benchmark.train is not None
    assert (len(benchmark.train), len(benchmark.tests[0])) == (30, 30)
    assert set(names_of(benchmark.train)) <= set(COLOURS)
    assert all(key.startswith("test_") for key in benchmark.tests[0].keys)


def test_tar_of_captions_is_a_retrieval_set(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "c.tar", [("a", {"png": square("red", 0), "txt": "rouge é".encode()})])
    (test,) = open_benchmark(str(path)).tests
    assert test.captions == (("rouge é",),)


def test_demo_is_what_its_notice_says() -> None:
    benchmark = open_benchmark("demo")
    artist, concept = benchmark.tests
    assert benchmark.train is not None
    assert [(part.split, len(part)) for part in (benchmark.train, artist, concept)] == [
        ("train", 6752),
        ("test_artist", 1670),
        ("test_concept", 945),
    ]
    assert len(artist.classes.names) == 1670
    assert len(concept.classes.names) == len(set(concept.clusters)) == 189
    assert artist.clusters == ()
    assert len(artist.groups.names) == 9
    assert artist.groups.names == benchmark.train.groups.names
    assert not set(names_of(benchmark.train)) & set(names_of(concept))
    grinning = names_of(artist).index("grinning face")
    assert "smile" in artist.synonyms[artist.classes.of[grinning]]


def test_data_hash_follows_the_data_not_the_place(folder: Path, tmp_path: Path) -> None:
    def hash_of(root: Path) -> str:
        return open_benchmark(str(root)).tests[0].data_hash

    before = hash_of(folder)
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "colours"))
    assert hash_of(moved) == before
    (moved / "test" / "red" / "0.png").write_bytes(square("red", 9999))
    assert hash_of(moved) != before
    (folder / "test" / "red" / "0.png").rename(folder / "test" / "blue" / "extra.png")
    assert hash_of(folder) != before


def test_data_hash_sees_captions(tmp_path: Path) -> None:
    hashes = set()
    for i, text in enumerate(["one", "two"]):
        path = write_tar(
            tmp_path / str(i) / "c.tar", [("a", {"png": square("red", 0), "txt": text.encode()})]
        )
        hashes.add(open_benchmark(str(path)).tests[0].data_hash)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "classnames.txt").unlink(), "no classnames.txt"),
        (lambda root: (root / "classnames.txt").write_text("red\n"), r"\.cls says '2'; wanted 0 to 0"),
        (lambda root: (root / "classnames.txt").write_bytes("é\n".encode("latin-1") * 6), "not UTF-8"),
        (lambda root: (root / "test" / "1.tar").unlink(), "should hold 2 tars but lacks 1.tar"),
        (lambda root: (root / "test" / "nshards.txt").write_text("two"), "says 'two'"),
        (lambda root: (root / "test" / "nshards.txt").write_text("²"), "says '²'"),
        (lambda root: (root / "dataset_type.txt").write_text("multilabel"), "type multilabel"),
        (lambda root: (root / "synonyms.txt").write_text("a\nb\n"), "2 lines for 6 classes"),
        (lambda root: (root / "test").rename(root / "train"), "only a train split"),
        (
            lambda root: (root / "test" / "1.tar").write_bytes((root / "test" / "1.tar").read_bytes()[:3000]),
            "cut short",
        ),
    ],
)
def test_odd_clip_benchmark_folders_say_so_in_one_line(tmp_path: Path, spoil, says: str) -> None:
    root = write_clip_benchmark(tmp_path / "wds")
    open_benchmark(str(root))
    spoil(root)
    with pytest.raises(SightwordError, match=says) as error:
        open_benchmark(str(root))
    assert "\n" not in str(error.value)


def test_odd_folders_and_tars_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SightwordError, match="without class folders"):
        open_benchmark(str(tmp_path / "empty"))
    with pytest.raises(SightwordError, match="nothing at"):
        open_benchmark(str(tmp_path / "nowhere"))
    (tmp_path / "hollow" / "cat").mkdir(parents=True)
    with pytest.raises(SightwordError, match="no pictures"):
        open_benchmark(str(tmp_path / "hollow"))
    with pytest.raises(SightwordError, match="holds train but no test"):
        open_benchmark(str(write_folder(tmp_path / "half", splits=("train",))))
    (tmp_path / "text.tar").write_text("not a tar")
    with pytest.raises(SightwordError, match=r"text\.tar"):
        open_benchmark(str(tmp_path / "text.tar"))
    bare = write_tar(tmp_path / "bare.tar", [("a", {"png": square("red", 0)})])
    with pytest.raises(SightwordError, match="neither class nor caption"):
        open_benchmark(str(bare))
    latin = write_tar(tmp_path / "l.tar", [("a", {"png": square("red", 0), "txt": "é".encode("latin-1")})])
    with pytest.raises(SightwordError, match="not UTF-8"):
        open_benchmark(str(latin))
    twice = write_tar(tmp_path / "t.tar", [("a", {"png": b"1", "txt": b"x"}), ("a", {"png": b"2"})])
    with pytest.raises(SightwordError, match="twice"):
        open_benchmark(str(twice))
    odd = write_tar(tmp_path / "j.tar", [("a", {"png": square("red", 0), "json": b"{"})])
    with pytest.raises(SightwordError, match="not JSON"):
        open_benchmark(str(odd))


@pytest.mark.parametrize("split", ["../../outside", "a/b", "a\\b", ""])
def test_a_split_whose_name_leads_elsewhere_is_refused(tmp_path: Path, split: str) -> None:
    """Outcomes and features are written to files of this name."""
    fact = json.dumps({"class_name": "red", "split": split}).encode()
    path = write_tar(tmp_path / "x.tar", [("a", {"png": square("red", 0), "json": fact})])
    with pytest.raises(SightwordError, match="wanted a name without /"):
        open_benchmark(str(path))


def test_labels_without_a_picture_are_not_left_out_silently(tmp_path: Path) -> None:
    samples = [("a", {"png": square("red", 0), "cls": b"0"}), ("b", {"heic": b"x", "cls": b"0"})]
    write_tar(tmp_path / "wds" / "test" / "0.tar", samples)
    (tmp_path / "wds" / "classnames.txt").write_text("red\n")
    with pytest.raises(SightwordError, match=r"'b' and 0 others have \.cls but no picture"):
        open_benchmark(str(tmp_path / "wds"))
    fact = json.dumps({"class_name": "red"}).encode()
    facts = [("a", {"png": square("red", 0), "json": fact}), ("b", {"json": fact}), ("c", {"json": fact})]
    with pytest.raises(SightwordError, match=r"'b' and 1 others have \.json but no picture"):
        open_benchmark(str(write_tar(tmp_path / "x.tar", facts)))


def test_a_class_that_is_no_decimal_number(tmp_path: Path) -> None:
    write_tar(tmp_path / "wds" / "test" / "0.tar", [("a", {"png": square("red", 0), "cls": "²".encode()})])
    (tmp_path / "wds" / "classnames.txt").write_text("red\n" * 3)
    with pytest.raises(SightwordError, match=r"a\.cls says '²'; wanted 0 to 2"):
        open_benchmark(str(tmp_path / "wds"))


@pytest.mark.parametrize("kind", ["ppm", "pgm", "avif", "jp2"])
def test_pictures_of_every_kind_that_can_be_decoded_count(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x" / "red").mkdir(parents=True)
    made = Image.open(io.BytesIO(square("red", 0))).convert("L" if kind == "pgm" else "RGB")
    made.save(tmp_path / "x" / "red" / f"a.{kind}")
    (test,) = open_benchmark(str(tmp_path / "x")).tests
    assert picture_of(test, 0).shape == (10, 12, 3)


def test_json_without_split_counts_as_test(tmp_path: Path) -> None:
    fact = json.dumps({"class_name": "red"}).encode()
    path = write_tar(tmp_path / "x.tar", [("a", {"png": square("red", 0), "json": fact})])
    benchmark = open_benchmark(str(path))
    assert benchmark.train is None
    assert benchmark.tests[0].split == "test"
    assert benchmark.tests[0].classes.of.dtype == np.int64


def test_a_validation_split_is_never_a_test_where_there_is_one(tmp_path: Path) -> None:
    root = write_clip_benchmark(tmp_path / "wds")
    shutil.copytree(root / "test", root / "valid")
    found = open_benchmark(str(root))
    assert [test.split for test in found.tests] == ["test"]
    assert found.validation is not None
    assert found.validation.split == "valid"
