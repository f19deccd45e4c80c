"""An index of pictures: made, brought up to date, cut short, damaged and searched."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_shard import picture, small_shard, write_tar
from squares import SQUARES, folder_of

from sightword.errors import SightwordError
from sightword.training.model import Model, load_model
from sightword.use.index import engine, features
from sightword.use.index import folder as folders
from sightword.use.index.about import About
from sightword.use.index.engine import Engine
from sightword.use.index.folder import open_index
from sightword.use.index.indexing import IndexOptions, index_pictures
from sightword.use.index.searching import Search, open_search
from sightword.use.model import UsableModel

pytest.importorskip("faiss", reason="faiss is not installed")
CAPTIONS = [picture(i)[1] for i in range(SQUARES)]


class Encoded:
    """How many pictures the model was asked to encode."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        own = Model.encode_image

        def counted(model: Model, images: torch.Tensor, project: bool = False) -> torch.Tensor:
            self.count += len(images)
            return own(model, images, project)

        monkeypatch.setattr(Model, "encode_image", counted)

    def since(self) -> int:
        """Since this was last asked; one is a look at how wide features are."""
        count, self.count = self.count, 0
        return count - 1


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Encoded:
    return Encoded(monkeypatch)


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


def indexed(data: Path | str, model: UsableModel, run: Path, out: Path, **options: object) -> About:
    how = replace(IndexOptions(), **options)  # type: ignore[arg-type]
    return index_pictures(str(data), model, str(run), out, how, quiet)


def brute_force(model: UsableModel, folder: Path, sentence: str) -> list[tuple[str, float]]:
    """Keys and cosines, the best first, by one product of matrices."""
    files = sorted(folder.rglob("*.png"))
    cosines = model.encode_image(files, project=True) @ model.encode_text([sentence])[0]
    order = cosines.argsort(descending=True).tolist()
    return [(str(files[i].relative_to(folder).with_suffix("")), float(cosines[i])) for i in order]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model: UsableModel, run: Path) -> Path:
    """An index of a folder of squares, `made.parent / "squares"`."""
    folder = tmp_path_factory.mktemp("index")
    indexed(folder_of(folder / "squares"), model, run, folder / "squares.index")
    return folder / "squares.index"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """The same index, for harm."""
    return Path(shutil.copytree(made, tmp_path / "copied.index"))


def test_sentences_find_what_arithmetic_finds(made: Path, model: UsableModel) -> None:
    search = Search(open_index(made), model)
    assert len(search) == SQUARES
    for caption in CAPTIONS:
        hits = search.text(caption, top=5)
        assert hits[0].caption == caption
        assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
        wanted = brute_force(model, made.parent / "squares", caption)[:5]
        assert [hit.key for hit in hits] == [key for key, _ in wanted]
        np.testing.assert_allclose([hit.score for hit in hits], [score for _, score in wanted], atol=1e-5)
    assert len(search.text("red", top=999)) == SQUARES


def test_pictures_find_themselves(made: Path, model: UsableModel) -> None:
    search = Search(open_index(made), model)
    for i in (0, 7):
        hits = search.image(picture(i)[0], top=2)
        assert (hits[0].caption, Path(hits[0].path).name) == (CAPTIONS[i], f"{i:03}.png")
        assert hits[0].score == pytest.approx(1.0, abs=1e-5)
        again = search.like(hits[0].row, top=2)
        assert [hit.row for hit in again] == [hit.row for hit in hits]
        assert search.hit(hits[0].row).key == hits[0].key


def test_a_search_by_name_loads_the_model(made: Path, run: Path, tmp_path: Path) -> None:
    assert open_search(made, device="cpu").text("a red square on green", top=1)[0].key == "000"
    about = json.loads((made / "index.json").read_text())
    assert (about["run"], about["data"]) == (str(run), str(made.parent / "squares"))
    moved = shutil.copytree(made, tmp_path / "moved.index")
    (moved / "index.json").write_text(json.dumps({**about, "run": "/no/where"}))
    with pytest.raises(SightwordError, match="no longer at '/no/where'; give the place where it is"):
        open_search(moved)
    assert len(open_search(moved, str(run), "cpu")) == SQUARES


def test_questions_that_cannot_be_answered(made: Path, model: UsableModel) -> None:
    search = Search(open_index(made), model)
    with pytest.raises(SightwordError, match="there is nothing to look for"):
        search.text("  ")
    with pytest.raises(SightwordError, match="top is 0; give how many"):
        search.text("red", top=0)
    with pytest.raises(SightwordError, match="cannot read 'no/such'"):
        search.image("no/such")


def test_only_what_changed_is_encoded_again(
    model: UsableModel, run: Path, tmp_path: Path, encoded: Encoded
) -> None:
    folder, out = folder_of(tmp_path / "squares"), tmp_path / "out"
    first = indexed(folder, model, run, out)
    assert (first.made.new, first.made.kept, encoded.since()) == (SQUARES, 0, SQUARES)
    again = indexed(folder, model, run, out)
    assert (again.made.new, again.made.kept, encoded.since()) == (0, SQUARES, 0)
    assert again.vectors == first.vectors
    (folder / "001.png").unlink()
    (folder / "002.png").write_bytes(picture(26)[0])
    os.utime(folder / "002.png", ns=(1, 1))
    (folder / "new.png").write_bytes(picture(1)[0])
    (folder / "003.txt").write_text("another caption")
    (folder / "new.txt").write_text("it came later")
    (folder / "001.txt").unlink()
    third = indexed(folder, model, run, out)
    told = third.made
    assert (told.new, told.changed, told.kept, told.removed) == (1, 1, SQUARES - 2, 1)
    assert encoded.since() == 2
    search = Search(open_index(out), model)
    for caption in CAPTIONS[:4]:
        found = [(hit.key, round(hit.score, 4)) for hit in search.text(caption, top=4)]
        assert found == [(key, round(score, 4)) for key, score in brute_force(model, folder, caption)[:4]]
    captions = set(search.opened.pictures.column("caption").to_pylist())
    assert {"another caption", "it came later"} <= captions
    assert len(list(out.glob("*.faiss"))) == len(list(out.glob("*.parquet"))) == 1


def test_growing_keeps_what_is_there(model: UsableModel, run: Path, tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "squares"), tmp_path / "out"
    indexed(folder, model, run, out)
    before = open_index(out)
    (folder / "0-first-by-name.png").write_bytes(picture(5)[0])
    indexed(folder, model, run, out, reading=replace(IndexOptions().reading))
    after = open_index(out)
    assert after.pictures.column("key").to_pylist()[:SQUARES] == before.pictures.column("key").to_pylist()
    np.testing.assert_array_equal(after.engine.vectors()[:SQUARES], before.engine.vectors())
    assert after.about.count == SQUARES + 1


def test_tars_are_compared_by_their_bytes(
    model: UsableModel, run: Path, tmp_path: Path, encoded: Encoded
) -> None:
    tar, out = small_shard(tmp_path / "pairs.tar", 8), tmp_path / "out"
    assert indexed(tar, model, run, out).made.new == 8
    encoded.since()
    os.utime(tar, ns=(5, 5))
    assert indexed(tar, model, run, out).made.kept == 8
    assert encoded.since() == 0
    small_shard(tar, 10)  # the same eight and two more: read again, and only the new ones encoded
    told = indexed(tar, model, run, out).made
    assert (told.new, told.changed, told.kept, encoded.since()) == (2, 0, 8, 2)
    assert Search(open_index(out), model).text(CAPTIONS[3], 1)[0].caption == CAPTIONS[3]


def test_sources_may_be_joined_and_keys_come_again(model: UsableModel, run: Path, tmp_path: Path) -> None:
    folder, tar = folder_of(tmp_path / "squares", 4), small_shard(tmp_path / "pairs.tar", 4)
    again = small_shard(tmp_path / "more.tar", 2)
    out = tmp_path / "out"
    assert indexed(f"{folder}::{tar}::{again}", model, run, out).count == 10
    keys = open_index(out).pictures.column("key").to_pylist()
    assert keys[-2:] == ["0000~1", "0001~1"]
    assert len(set(keys)) == 10


def test_no_two_pictures_have_one_name(model: UsableModel, run: Path, tmp_path: Path) -> None:
    """Of tars, whose keys may end as if they came again: each keeps its own features when nothing changed."""
    tars = []
    for number, names in enumerate((["a", "a~1"], ["a", "a~1~1"])):
        members = {}
        for place, name in enumerate(names):
            content, caption = picture(2 * number + place)
            members |= {f"{name}.png": content, f"{name}.txt": caption.encode()}
        tars.append(str(write_tar(tmp_path / f"{number}.tar", members)))
    for again in range(2):
        assert indexed("::".join(tars), model, run, tmp_path / "out").made.kept == 4 * again
        opened = open_index(tmp_path / "out")
        assert len(set(opened.pictures.column("key").to_pylist())) == 4
        wanted = model.encode_image([picture(i)[0] for i in range(4)], project=True)
        np.testing.assert_allclose(opened.engine.vectors(), wanted, atol=1e-6)


def test_an_index_may_be_replaced_while_it_is_opened(
    copied: Path, model: UsableModel, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, squares = folders._check_size, copied.parent / "squares"
    folder_of(squares, 5)
    fresh = copied.parent / "fresh.index"
    indexed(squares, model, run, fresh)

    def replaced_first(place: Path, file: object) -> None:
        if fresh.exists() and place == copied:
            shutil.rmtree(copied)
            fresh.rename(copied)
        own(place, file)

    monkeypatch.setattr(folders, "_check_size", replaced_first)
    assert open_index(copied).about.count == 5


def test_work_that_was_cut_short_goes_on(
    model: UsableModel, run: Path, tmp_path: Path, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = folder_of(tmp_path / "squares"), tmp_path / "out"
    monkeypatch.setattr(features, "AT_ONCE", 4)
    monkeypatch.setattr(features, "ASIDE", 0.0)
    own, calls = features.vectors_of, []

    def interrupted(*given: object) -> np.ndarray:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return own(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(features, "vectors_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        indexed(folder, model, run, out)
    assert not (out / "index.json").exists()
    pieces = sorted((out / "unfinished").glob("*.parquet"))
    assert sum(pq.read_metadata(piece).num_rows for piece in pieces) == 8
    pieces[0].write_bytes(pieces[0].read_bytes()[:-20])  # a torn piece costs only itself
    encoded.since()
    monkeypatch.setattr(features, "vectors_of", own)
    told = indexed(folder, model, run, out).made
    assert (told.new, told.kept, encoded.since()) == (8, 4, 8)
    assert not (out / "unfinished").exists()
    found = Search(open_index(out), model)
    for caption in CAPTIONS[:4]:
        assert found.text(caption, 1)[0].key == brute_force(model, folder, caption)[0][0]


def test_unreadable_pictures_are_counted_and_named(model: UsableModel, run: Path, tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "squares", 6), tmp_path / "out"
    (folder / "001.png").write_bytes(b"no picture")
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:60])
    about = indexed(folder, model, run, out)
    assert (about.count, about.made.unreadable) == (4, 2)
    lines = [json.loads(line) for line in (out / "unreadable.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["001", "002"]
    assert all("not a readable picture" in line["reason"] for line in lines)
    (folder / "001.png").write_bytes(picture(1)[0])
    assert indexed(folder, model, run, out).made.new == 1
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(SightwordError, match=r"no picture of .* can be read; first 000: not a readable"):
        indexed(folder, model, run, tmp_path / "other")


def test_pictures_that_are_not_there_leave_no_folder(model: UsableModel, run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.tar").write_bytes(b"no tar at all")
    with pytest.raises(SightwordError, match="is not a tar"):
        indexed(tmp_path / "notes.tar", model, run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pictures_without_captions_are_found(model: UsableModel, run: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "squares", captions=False)
    indexed(folder, model, run, tmp_path / "out")
    hits = Search(open_index(tmp_path / "out"), model).text(CAPTIONS[2], 1)
    assert (hits[0].key, hits[0].caption) == ("002", "")


def test_another_model_or_source_is_refused(
    made: Path, model: UsableModel, run: Path, tmp_path: Path
) -> None:
    other = load_model(run, "cpu")
    other.weights_hash = "another"
    with pytest.raises(SightwordError, match=r"of the model squares \(.*\), not of squares \(another\)"):
        index_pictures(str(made.parent / "squares"), other, str(run), made, IndexOptions(), quiet)
    with pytest.raises(SightwordError, match=r"was made with squares .* not with squares \(another\)"):
        Search(open_index(made), other)
    with pytest.raises(SightwordError, match=r"is of '.*squares', read in its own way; give another --out"):
        indexed(folder_of(tmp_path / "other", 2), model, run, made)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    with pytest.raises(SightwordError, match=r"is no index and holds mine\.txt; give --out a new folder"):
        indexed(made.parent / "squares", model, run, tmp_path / "full")


def harm(folder: Path, what: str) -> None:
    vectors, pictures = next(folder.glob("*.faiss")), next(folder.glob("*.parquet"))
    about = json.loads((folder / "index.json").read_text())
    if what == "cut vectors":
        vectors.write_bytes(vectors.read_bytes()[:-7])
    elif what == "changed vectors":
        content = bytearray(vectors.read_bytes())
        content[-9] ^= 255
        vectors.write_bytes(content)
    elif what == "a lying head":  # sizes and hashes made to fit: faiss would believe it and read on
        content = bytearray(vectors.read_bytes())
        content[8:16] = (1 << 60).to_bytes(8, "little")
        about["vectors"] |= {"sha256": _sha256(bytes(content))}
        vectors.write_bytes(content)
    elif what == "no vectors":
        vectors.unlink()
    elif what == "cut pictures":
        pictures.write_bytes(pictures.read_bytes()[:-7])
    elif what == "fewer pictures":
        pq.write_table(pq.read_table(pictures).slice(1), pictures)
        content = pictures.read_bytes()
        about["pictures"] |= {"sha256": _sha256(content), "bytes": len(content)}
    elif what == "a file elsewhere":
        about["vectors"] |= {"name": "../../secret.faiss"}
    elif what == "other types":
        about["count"] = "12"
    elif what == "another format":
        about["format"] = 99
    text = json.dumps(about)
    (folder / "index.json").write_text(text[:-30] if what == "cut json" else text)


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cut vectors", "bytes, and .* were written"),
        ("changed vectors", "was changed since it was written"),
        ("a lying head", "is not a flat index of 12 vectors of 16 numbers"),
        ("no vectors", "No such file"),
        ("cut pictures", "bytes, and .* were written"),
        ("fewer pictures", "does not list 12 pictures"),
        ("a file elsewhere", "names a file '../../secret.faiss'"),
        ("other types", "count is '12'"),
        ("another format", "it is of format 99"),
        ("cut json", "makes no sense"),
    ],
)
def test_damage_is_one_line(copied: Path, what: str, message: str) -> None:
    harm(copied, what)
    with pytest.raises(SightwordError, match=message) as found:
        open_index(copied)
    assert "\n" not in str(found.value)


def test_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="is no index of pictures; make one: sightword index FOLDER"):
        open_index(tmp_path)


def test_without_faiss_there_is_a_way(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(SightwordError, match=r"run: pip install 'sightword\[search\]'"):
        open_index(made)


def test_beyond_some_size_a_graph_is_searched_and_its_recall_told(
    model: UsableModel, run: Path, tmp_path: Path
) -> None:
    folder, out = folder_of(tmp_path / "squares", 40), tmp_path / "out"
    about = indexed(folder, model, run, out, exact=10)
    assert (about.kind, about.recall.at, about.recall.of) == ("hnsw", 10, "captions")
    assert about.recall.share >= engine.RECALL
    assert about.recall.queries == len({picture(i)[1] for i in range(40)})
    search = Search(open_index(out), model)
    wanted = brute_force(model, folder, CAPTIONS[0])[0]
    assert search.text(CAPTIONS[0], 3)[0].score == pytest.approx(wanted[1], abs=1e-5)
    (folder / "new.png").write_bytes(picture(41)[0])
    grown = indexed(folder, model, run, out, exact=10)
    assert (grown.count, len(open_index(out).engine), grown.kind) == (41, 41, "hnsw")
    assert Search(open_index(out), model).image(folder / "new.png", 1)[0].key == "new"


def test_recall_is_measured_against_all() -> None:
    """A graph that visits few nodes misses some of the nearest; the one chosen finds enough of them."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:50] + 0.2 * random.standard_normal((50, 32)).astype(np.float32)
    graph = Engine.of(vectors, "hnsw")
    visited, recall = graph.tune(queries, "pictures")
    exact = np.argsort(-queries @ vectors.T, axis=1)[:, :10]
    _, found = graph.search(queries, 10)
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
    assert recall.share == pytest.approx(share)
    assert recall.share >= engine.RECALL
    graph.visit(10)
    _, fewer = graph.search(queries, 10)
    assert visited > 16 or (fewer != exact).any()
    assert asdict(recall)["queries"] == 50


def test_models_without_captions_are_searched_by_picture(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = UsableModel(load_model(run, "cpu"))
    sight.encoders.joint = None
    sight.has_text = False
    folder, out = folder_of(tmp_path / "squares"), tmp_path / "out"
    about = indexed(folder, sight, run, out)
    assert (about.joint, about.width) == (False, 24)
    search = Search(open_index(out), sight)
    assert search.image(folder / "003.png", 1)[0].key == "003"
    with pytest.raises(SightwordError, match="was not trained with captions: it finds pictures"):
        search.text("red")


def test_two_writers_do_not_meet(made: Path, model: UsableModel, run: Path) -> None:
    from sightword.pairs.remote.locks import if_free

    with if_free(made / ".lock") as free:
        assert free
        with pytest.raises(SightwordError, match="another process is writing the index"):
            indexed(made.parent / "squares", model, run, made)
