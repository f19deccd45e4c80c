"""A user's mistakes: one clear line on standard error, exit code 2, no traceback, and nothing lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_shard import picture, small_shard, write_tar

from sightword.cli import main

TINY = ("--model", "vit-tiny", "--set", "model.image.layers=1", "--set", "model.text.layers=1")
SHORT = ("--steps", "2", "--batch-size", "8", "--workers", "0", "--set", "data.vocab=300")


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command that must fail says: checked to be one line with exit code 2."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr().err
        assert end.value.code == 2, said
        lines = said.strip().splitlines()
        assert len(lines) == 1, said
        assert lines[0].startswith("sightword: ")
        assert "Traceback" not in said
        return lines[0]

    return run


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_shard(tmp_path_factory.mktemp("data") / "pairs.tar", 32)


@pytest.fixture(scope="module")
def trained(shard: Path) -> Path:
    """A run that is finished; tests leave it as it is."""
    out = shard.parent / "run"
    main(["train", "--data", str(shard), *TINY, *SHORT, "--out", str(out)])
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean train?"),
        (["train", "--stepz", "4"], "--stepz, 4; Perhaps you meant: --steps N"),
        (["train", "--steps", "many"], "--steps: no type matching INT"),
        (["train", "--steps"], "Missing value for argument '--steps'"),
        (["evaluate"], "evaluate wants the directory of a run (or --list, for the data sets it knows)"),
        (["train", "demo-clp"], "unknown recipe 'demo-clp'; did you mean demo-clip"),
        (
            ["train", "--objective", "clip + simclar", *SHORT],
            "'simclar'; did you mean simclr?",
        ),
        (["train", "--objective", "clip + * mae", *SHORT], "column 8: found '*'"),
        (["train", "--objective", "simclr(temprature=1)", *SHORT], "'temprature'; did you mean temperature?"),
        (["train", "--model", "vit-tinny", *SHORT], "unknown model 'vit-tinny'; did you mean vit-tiny"),
        (["train", "--model", "resnet-tiny", "--objective", "mae", *SHORT], "try --model vit-tiny"),
        (["train", "--set", "model.image.pol=gap", *SHORT], "'pol'; did you mean pool?"),
        (["train", "--set", "data.vocab"], "--set wants NAME=VALUE"),
        (["train", "--precision", "fp17", *SHORT], "'fp17'; did you mean"),
        (["train", "--device", "cuda:99", *SHORT], "device 'cuda:99' cannot be used here"),
        (
            ["train", "--steps", "5", "--epochs", "1", "--batch-size", "8"],
            "both --steps and --epochs are",
        ),
        (["train", "--batch-size", "8"], "give --steps N or --epochs N"),
        (["train", "--batch-size", "100000", "--steps", "1"], "larger than the data set"),
        (["train", "--batch-size", "0", "--steps", "1"], "--batch-size is 0"),
        (["train", "--batch-size", "8", "--steps", "1", "--workers", "-5"], "--workers is -5"),
        (["train", "--batch-size", "8", "--steps", "1", "--max-bad", "7"], "--max-bad is a share"),
        (
            ["train", "--batch-size", "8", "--steps", "1", "--upsampling", "1::2"],
            "--upsampling has 2 factors",
        ),
        (["data", "pak"], "unknown command 'data pak'; did you mean data pack"),
        (["data", "pack", "nowhere", "--out", "there"], "'nowhere' does not exist"),
        (["data", "check", "nowhere"], "'nowhere' does not exist"),
        (["data", "stats", "nowhere"], "'nowhere' does not exist"),
        (["data", "index", "nowhere"], "'nowhere' does not exist"),
        (["data", "corpus", "icon", "--out", "there"], "unknown corpus 'icon'; did you mean icons?"),
        (["evaluate", "nowhere"], "no config.toml in 'nowhere'"),
        (["report", "nowhere"], "'nowhere' is not there"),
        (["compare", "nowhere", "elsewhere"], "nowhere"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_wrong_words(
    complaint: Callable[..., str],
    shard: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data", str(shard)] if arguments[0] == "train" else []
    assert said in complaint(arguments[0], *data, *arguments[1:])
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_not_there(complaint: Callable[..., str], shard: Path, tmp_path: Path) -> None:
    near = shard.with_name("pears.tar")
    assert f"'{near}' does not exist; did you mean {shard}?" in complaint("train", "--data", near, *SHORT)
    (tmp_path / "empty").mkdir()
    said = complaint("train", "--data", tmp_path / "empty", *SHORT)
    assert "holds no .tar" in said
    several = f"{shard.parent}/{{pairs,more}}.tar"
    assert "1 of the 2 shards" in complaint("train", "--data", several, *SHORT)


def test_data_that_is_broken(complaint: Callable[..., str], tmp_path: Path) -> None:
    png, caption = picture(0)
    latin = write_tar(tmp_path / "latin.tar", {"a.png": png, "a.txt": "café".encode("latin-1")})
    none = write_tar(tmp_path / "none.tar", {"readme.md": b"nothing here"})
    whole = small_shard(tmp_path / "whole.tar", 32).read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: len(whole) // 2 + 100])
    fakes = {f"{i}.png": b"<html>not found</html>" for i in range(40)}
    texts = {f"{i}.txt": caption.encode() for i in range(40)}
    members = dict(sorted({**fakes, **texts}.items()))
    fake = write_tar(tmp_path / "fake.tar", members)
    wanted = {latin: "UTF-8", none: "holds no pair", cut: "cut", fake: "unreadable"}
    for path, word in wanted.items():
        said = complaint("train", "--data", path, *TINY, *SHORT, "--out", tmp_path / f"run-{path.stem}")
        assert word in said
        assert path.name in said or "repair the data" in said or "max_bad" in said
        assert not (tmp_path / f"run-{path.stem}" / "model.safetensors").exists()


def test_one_picture_that_is_none_is_set_aside(tmp_path: Path) -> None:
    members = {}
    for i in range(32):
        members[f"{i:02}.png"], caption = picture(i)
        members[f"{i:02}.txt"] = caption.encode()
    members["05.png"] = b"<html>not found</html>"
    data, out = write_tar(tmp_path / "pairs.tar", members), tmp_path / "run"
    tolerant = ("--set", "data.max_bad=0.2")
    main(["train", "--data", str(data), *TINY, *SHORT, "--steps", "4", *tolerant, "--out", str(out)])
    assert (out / "model.safetensors").is_file()
    assert "05" in (out / "quarantine.jsonl").read_text(encoding="utf-8")


def test_a_directory_that_holds_a_run_is_not_touched(
    complaint: Callable[..., str], shard: Path, trained: Path
) -> None:
    before = contents(trained)
    said = complaint("train", "--data", shard, *TINY, *SHORT, "--out", trained)
    assert f"'{trained}' already holds a run; go on with: sightword train --resume {trained}" in said
    assert contents(trained) == before


def test_resuming_what_cannot_be(
    complaint: Callable[..., str], shard: Path, trained: Path, tmp_path: Path
) -> None:
    assert "no config.toml in" in complaint("train", "--resume", tmp_path / "nothing")
    before = contents(trained)
    assert "batch_size" in complaint("train", "--resume", trained, "--batch-size", "16")
    assert contents(trained) == before


def other_model(trained: Path, out: Path) -> Path:
    """The run with a configuration that its weights do not fit."""
    for name, content in contents(trained).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    text = (out / "config.toml").read_text(encoding="utf-8")
    assert "embed = 128" in text
    (out / "config.toml").write_text(text.replace("embed = 128", "embed = 64"), encoding="utf-8")
    return out


def test_weights_of_another_model(
    complaint: Callable[..., str], shard: Path, trained: Path, tmp_path: Path
) -> None:
    other = other_model(trained, tmp_path / "other")
    before = contents(other)
    for command in (("evaluate", other), ("train", "--resume", other)):
        assert "of another model" in complaint(*command)
        assert contents(other) == before
    new = ("train", "--data", shard, "--model", "resnet-tiny", *SHORT, "--out", tmp_path / "new")
    said = complaint(*new, "--init-from", trained)
    assert "of another model" in said
    assert not (tmp_path / "new").exists()


def test_evaluating_on_nothing(complaint: Callable[..., str], trained: Path, tmp_path: Path) -> None:
    before = contents(trained)
    assert "nowhere" in complaint("evaluate", trained, "--on", tmp_path / "nowhere")
    assert "did you mean linear or linear-sgd?" in complaint("evaluate", trained, "--tasks", "linar")
    few = ("evaluate", trained, "--tasks", "fewshot", "--set")
    assert "did you mean shots?" in complaint(*few, "fewshot.shot=1")
    assert "write for example fewshot.shots=1,4" in complaint(*few, "fewshot.shots")
    assert contents(trained) == before


def test_settings_of_a_task_reach_its_protocol(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    for part, count in (("train", 12), ("test", 8)):
        for index in range(count):
            file = tmp_path / "squares" / part / f"colour{index % 4}" / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture(index)[0])
    few = ("--tasks", "fewshot", "--set", "fewshot.shots=2", "--set", "fewshot.draws=2")
    main(["evaluate", str(run), "--on", str(tmp_path / "squares"), *few, "--contamination", "off"])
    scores = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    assert {score["metric"] for score in scores} >= {"acc1_2_shots"}
    assert all((s["protocol"]["shots"], s["protocol"]["draws"]) == ([2], 2) for s in scores)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = Path(sys.executable).with_name("sightword")
    listing = subprocess.Popen(
        [command, "evaluate", "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listing.stdout is not None
    listing.stdout.close()
    _, said = listing.communicate(timeout=60)
    assert (listing.returncode, said) == (0, b"")


def test_the_command_itself_exits_with_two(tmp_path: Path) -> None:
    """As a real process: the entry point prints what `main` does and nothing else."""
    command = Path(sys.executable).with_name("sightword")
    asked = [command, "train", "--data", tmp_path / "nothing.tar", "--steps", "1", "--out", tmp_path / "run"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("sightword: ")
    assert not (tmp_path / "run").exists()
