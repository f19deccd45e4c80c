"""`sightword index` and `sightword search`, as they are called and as they answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_shard import picture
from squares import SQUARES, folder_of

from sightword.cli import main

pytest.importorskip("faiss", reason="faiss is not installed")
CAPTION = picture(3)[1]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    folder_of(folder / "squares")
    (folder / "squares" / "001.png").write_bytes(b"no picture")
    main(["index", str(folder / "squares"), "--model", str(run), "--out", str(folder / "index")])
    return folder / "index"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_index_says_what_it_did(index: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = ["index", str(index.parent / "squares"), "--model", str(run), "--out", str(index)]
    main(again)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        f"{index}: {SQUARES - 1} pictures (0 new, 0 changed, {SQUARES - 1} kept, 0 removed)"
    )
    assert said[1].startswith(f"1 picture cannot be read, see {index}/unreadable.jsonl; first: 001 (not a")
    assert said[-1] == f'next: sightword search {index} "a red bus", or --page'
    main([*again, "--json"])
    record = json.loads(capsys.readouterr().out)
    assert (record["index"], record["count"], record["made"]["unreadable"]) == (str(index), SQUARES - 1, 1)
    assert record == {"index": str(index), **json.loads((index / "index.json").read_text())}


def test_search_by_words(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["search", str(index), CAPTION, "--top", "3", "--device", "cpu"])
    table = capsys.readouterr().out
    assert table.split("\n")[2].split()[0] == "1"
    assert "003.png" in table.replace("\n", "").replace(" ", "")
    main(["search", str(index), CAPTION, "--top", "3", "--device", "cpu", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["rank"] for line in lines] == [1, 2, 3]
    assert (lines[0]["key"], lines[0]["caption"]) == ("003", CAPTION)
    assert lines[0]["score"] > lines[1]["score"] > lines[2]["score"]
    assert lines[0]["path"] == str(index.parent / "squares" / "003.png")


def test_names_and_captions_cannot_command_the_terminal(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "squares", 3)
    (folder / "000.txt").write_text("red\x1b]0;taken\x07 and \x9b31m more")
    (folder / "b\x1b[2Jad.png").write_bytes(b"no picture")
    main(["index", str(folder), "--model", str(run), "--out", str(tmp_path / "index"), "--device", "cpu"])
    main(["search", str(tmp_path / "index"), "red", "--device", "cpu"])
    said = capsys.readouterr().out
    assert "]0;taken" in said.replace("\n", "")
    assert "b\ufffd[2Jad" in said
    assert [one for one in said if not one.isprintable() and one != "\n"] == []


def test_search_by_picture(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = str(index.parent / "squares" / "more" / "007.png")
    main(["search", str(index), "--image", query, "--json", "--top", "1", "--device", "cpu"])
    assert json.loads(capsys.readouterr().out)["key"] == "more/007"


def test_mistakes_are_one_line(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "search wants one of: words" in refused(capsys, "search", str(index))
    assert "found 2 of them" in refused(capsys, "search", str(index), "red", "--page")
    assert "is no index of pictures; make one" in refused(capsys, "search", str(tmp_path), "red")
    assert "top is 0" in refused(capsys, "search", str(index), "red", "--top", "0")
    assert "no caption of any" not in refused(
        capsys, "index", str(tmp_path / "none"), "--model", str(tmp_path), "--out", str(tmp_path / "out")
    )


def test_the_documents_python_runs(
    index: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = Path(__file__).parents[2] / "docs" / "search.md"
    programs = document.read_text(encoding="utf-8").split("```python\n")[1:]
    (tmp_path / "pictures").mkdir()
    for i in range(2):
        (tmp_path / "pictures" / f"{i}.png").write_bytes(picture(i)[0])
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "slip").symlink_to(run)
    (tmp_path / "photos.index").symlink_to(index)
    monkeypatch.chdir(tmp_path)
    for program in programs:
        exec(program.partition("```")[0], {})
    assert len(programs) == 2
    assert len(capsys.readouterr().out.splitlines()) >= 5
