"""An adaptation from the command to its folder: what is chosen lies there, and nothing is done twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_adaptation import HELD_OUT, PAIRS, Small, command
from small_shard import picture

import sightword
from sightword.adapting import curve
from sightword.adapting.mixing import hash_of
from sightword.adapting.settings import Known
from sightword.cli import main
from sightword.errors import SightwordError
from sightword.evaluation.scores import read_scores
from sightword.study.holding import TEST, VALIDATION
from sightword.weights.sources import open_weights


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "adapt.jsonl").read_text().splitlines()]


def kind(out: Path, name: str) -> list[dict[str, Any]]:
    return [record for record in records(out) if record["kind"] == name]


def test_the_records_tell_all_of_it(small: Small) -> None:
    kinds = [record["kind"] for record in records(small.out)]
    assert list(dict.fromkeys(kinds)) == ["adapt", "data", "setting", "alpha", "change", "outcome"]
    (about,), (data,) = kind(small.out, "adapt"), kind(small.out, "data")
    assert about["pairs"] == PAIRS - HELD_OUT
    assert (
        about["held_out"]["validation"] + about["held_out"]["test"] + about["held_out"]["leaked"] == HELD_OUT
    )
    assert data["pairs"] == PAIRS
    assert [point["alpha"] for point in kind(small.out, "alpha")] == [0.0, 0.5, 1.0]
    sets = {(change["dataset"], change["task"], change["own"]) for change in kind(small.out, "change")}
    assert sets == {(TEST, "retrieval", True), ("squares", "zeroshot", False)}


def test_what_was_chosen_lies_there(small: Small) -> None:
    """To the bit, and it loads as any model; the file says of what it is made."""
    (chosen,) = [point for point in kind(small.out, "alpha") if point["chosen"]]
    start, end = (
        load_file(small.out / name) for name in ("start/model.safetensors", "run/model-best.safetensors")
    )
    made = load_file(small.out / "adapted" / "model.safetensors")
    alpha = chosen["alpha"]
    assert alpha > 0, "colours can be learned"
    for name, tensor in made.items():
        torch.testing.assert_close(
            tensor, (1 - alpha) * start[name] + alpha * end[name], rtol=1e-6, atol=1e-7
        )
    with safe_open(small.out / "adapted" / "model.safetensors", "pt") as file:
        (about,) = (json.loads(value) for value in file.metadata().values())
    assert about["alpha"] == alpha
    assert about["adapted_from"] == str(small.folder / "start")
    assert (about["start_hash"], about["end_hash"]) == (hash_of(start), hash_of(end))
    model = sightword.load(small.out / "adapted", "cpu")
    assert model.encode_image(picture(0)[0], project=True).shape == (1, 16)
    assert kind(small.out, "outcome")[0]["weights_hash"] == model.weights_hash


def test_the_start_is_the_weights_that_were_given(small: Small) -> None:
    before, given = (
        load_file(f / "model.safetensors") for f in (small.out / "start", small.folder / "start")
    )
    assert before.keys() == given.keys()
    assert all(torch.equal(before[name], given[name]) for name in given)


def test_it_is_chosen_on_validation_and_tested_once(small: Small) -> None:
    mixed = [s.dataset for f in (small.out / "mixed").iterdir() for s in read_scores(f)]
    assert set(mixed) == {VALIDATION, "squares"}
    assert {s.dataset for s in read_scores(small.out / "adapted")} == {TEST, "squares"}
    assert kind(small.out, "outcome")[0]["looks"] == 1
    best = max(p["own"] for p in kind(small.out, "alpha") if p["allowed"])
    assert [p["own"] for p in kind(small.out, "alpha") if p["chosen"]] == [best]


def files(out: Path) -> dict[str, bytes]:
    """All that was trained, measured and concluded."""
    some = ["run/metrics.jsonl", "run/model.safetensors", "adapted/model.safetensors", "adapt.jsonl"]
    scores = [str(p.relative_to(out)) for p in out.rglob("scores.jsonl")]
    return {name: (out / name).read_bytes() for name in [*some, *sorted(scores), "adapt.html"]}


def test_called_again_it_does_nothing_twice(small: Small) -> None:
    before = files(small.out)
    main(["adapt", "--out", str(small.out), "--yes"])
    assert files(small.out) == before
    main(small.command)
    assert files(small.out) == before


def test_stopped_anywhere_it_ends_with_the_same(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two mixtures, and before the chosen one was tested."""
    out = small.folder / "again"
    whole = curve.Ends.at

    def killed(ends: curve.Ends, alpha: float) -> Any:
        if alpha == 1.0:
            raise KeyboardInterrupt
        return whole(ends, alpha)

    with monkeypatch.context() as patch:
        patch.setattr(curve.Ends, "at", killed)
        with pytest.raises(SystemExit):
            main(command(small.folder, out))
    assert not (out / "adapted").exists()
    trained = (out / "run" / "model.safetensors").read_bytes()
    main(["adapt", "--out", str(out), "--yes"])
    assert (out / "run" / "model.safetensors").read_bytes() == trained
    assert (out / "adapted/model.safetensors").read_bytes() == (
        small.out / "adapted/model.safetensors"
    ).read_bytes()
    assert kind(out, "alpha") == kind(small.out, "alpha")
    runs = {"first_run": str(out / "start"), "second_run": str(out / "adapted")}
    assert kind(out, "change") == [{**one, **runs} for one in kind(small.out, "change")]
    shutil.rmtree(out)


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["adapt", *given])
    assert end.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_what_cannot_be_is_refused_in_one_line(
    small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, data = str(small.folder / "start"), str(small.folder / "pairs.tar")
    assert "no adapt.toml in" in refused(capsys, "--out", str(tmp_path / "none"))
    assert "but --data no pairs" in refused(capsys, "--from", start)
    assert "--lr is given without --from" in refused(capsys, "--lr", "1e-3", "--out", str(small.out))
    assert "hold out fewer" in refused(capsys, "--from", start, "--data", data, "--held-out", "72")
    other = refused(capsys, *small.command[1:-1], "--lr", "1e-3", "--yes")
    assert "holds another adaptation: optimizer.lr was 0.01, now 0.001" in other
    alphas = refused(capsys, "--from", start, "--data", data, "--alphas", "0,2", "--out", str(tmp_path / "a"))
    assert "--alphas are shares from 0 to 1, found 0, 2" in alphas


def test_weights_without_words_are_refused(small: Small, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(small.folder / "start", folder)
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {n: t for n, t in tensors.items() if n.startswith("towers.image.")}, folder / "model.safetensors"
    )
    with pytest.raises(SightwordError, match="knows pictures alone; adapt wants weights with a text tower"):
        Known.of(open_weights(folder), str(folder), 100)
