"""What the documents say is so: commands are understood, files exist, and runs write the fields described."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_shard import COLOURS, picture, small_shard

from sightword.cli import configure, flags, main
from sightword.cli.commands import parse
from sightword.objectives import catalogue

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "bench" / "README.md", *(ROOT / "docs").glob("*.md")])
README, RECORDS = (ROOT / name for name in ("README.md", "docs/records.md"))


def blocks(document: Path, language: str = "") -> list[str]:
    """Its code blocks of a language; those that show commands and files have none."""
    fenced = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"))
    return [text for kind, text in fenced if kind == language]


def commands(document: Path) -> list[str]:
    """The lines of its code blocks that call sightword, continued lines joined."""
    lines = "".join(blocks(document)).replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.startswith("sightword ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_are_understood(document: Path) -> None:
    for command in commands(document):
        given = parse(shlex.split(command)[1:])
        own = "barlow-twins" in command  # an objective of the page itself, which its own test trains
        own = own or "--pretrained" in command  # opens weights, which tests of their own have
        if isinstance(given, flags.Train) and not (given.saving.resume or given.list or own):
            catalogue.parse(configure(given).objective)


def test_commands_are_found() -> None:
    assert len(commands(README)) > 5
    assert len(commands(ROOT / "docs" / "guide.md")) > 5


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_they_point_to_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    quoted = re.findall(r"`((?:src|tests|docs|bench)/[\w./-]+)`", re.sub(r"(?m)^\*\*`.*`\*\*$", "", text))
    own = [link for link in links if not link.startswith("https://")]
    missing = [path for path in (document.parent / link for link in own) if not path.exists()]
    made = {"bench/results/"}  # by what the document tells to run
    missing += [ROOT / name for name in quoted if name not in made and not (ROOT / name).exists()]
    assert missing == []


def test_the_tree_is_the_tree() -> None:
    """Every room of the source stands in the annotated tree, and everything that stands there exists."""
    (tree,) = (block for block in blocks(README) if block.startswith("Makefile"))
    shown: set[Path] = set()
    folder = ROOT
    for line in tree.splitlines():
        name = line.split()[0]
        folder = ROOT if not line.startswith(" ") else folder
        shown.add(folder / name)
        folder = folder / name if name.endswith("/") and not line.startswith(" ") else folder
    assert {path for path in shown if not path.exists()} == set()
    rooms = {path for path in (ROOT / "src" / "sightword").iterdir() if not path.name.startswith("_")}
    rooms -= {path for path in rooms if path.name == "py.typed"}
    assert rooms <= shown


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that was trained and scored on everything."""
    folder = tmp_path_factory.mktemp("documents")
    for split in ("train", "test"):
        for i in range(24):
            content, caption = picture(i)
            place = folder / "labelled" / split / caption.split()[1]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{i}.png").write_bytes(content)
    data, out = small_shard(folder / "pairs.tar", 32), folder / "run"
    small = ["--set", "model.image.layers=1", "--set", "model.text.layers=1", "--set", "data.vocab=300"]
    short = ["--steps", "3", "--batch-size", "16", "--save-every", "2", "--workers", "0"]
    objective = "clip + simclr(hidden=32, out=16) + mae(decoder_width=32, decoder_layers=1, decoder_heads=2)"
    train = ["train", "--data", str(data), "--model", "vit-tiny", "--objective", objective, *small, *short]
    main([*train, "--out", str(out)])
    main(["evaluate", str(out), "--on", str(folder / "labelled"), "--tasks", "zeroshot,knn,linear"])
    return out


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_field_is_described(run: Path) -> None:
    described = set(re.findall(r"`([\w@]+)`", RECORDS.read_text(encoding="utf-8")))
    records, scores = lines(run / "metrics.jsonl"), lines(run / "scores.jsonl")
    assert {record["kind"] for record in records} == {"start", "step", "save", "end"}
    written = {name for record in [*records, *scores] for name in record} - {"kind"}
    terms = {name for record in records for term in record.get("terms", {}).values() for name in term}
    tables = {name for file in (run / "outcomes").glob("*.parquet") for name in pq.read_schema(file).names}
    assert {"accuracy", "explained", "grad_norm"} <= terms
    assert {"rank", "top5"} <= tables
    assert written | terms | tables <= described, (written | terms | tables) - described


def test_the_readme_names_every_file_of_a_run(run: Path) -> None:
    text = README.read_text(encoding="utf-8")
    for path in (path for path in run.iterdir() if not path.name.startswith(".")):
        assert f"  {path.name}{'/' if path.is_dir() else ''} " in text, path.name


def test_the_readmes_python_runs(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = blocks(README, "python")
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        (tmp_path / "pictures" / f"{i}.png").write_bytes(picture(i)[0])
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "slip").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(program, names)
    assert tuple(names["likeness"].shape) == (3, 2)


def test_the_small_shards_classes_are_its_colours() -> None:
    assert {picture(i)[1].split()[1] for i in range(24)} == set(COLOURS)
