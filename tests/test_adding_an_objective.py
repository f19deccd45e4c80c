"""docs/adding-an-objective.md works as it stands: its files are taken out of it, listed, tested, trained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_shard import small_shard

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "adding-an-objective.md").read_text(encoding="utf-8")
FILES = ("objectives/barlow_twins.py", "recipes/barlow_twins.py", "tests/test_barlow_twins.py")


@pytest.fixture(scope="module")
def ideas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the document's files; its last, unnamed example as an objective called `painting`."""
    folder = tmp_path_factory.mktemp("ideas")
    named = dict(
        re.findall(r"^\*\*`([^`]+)`\*\*\n\n```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    )
    assert tuple(named) == FILES
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    (example,) = (block for block in blocks if block not in named.values())
    for name, text in {**named, "objectives/painting.py": example}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(ideas: Path, *command: str) -> str:
    """Standard output of a Python module that is run with the folder in SIGHTWORD_PATH, and must succeed."""
    environment = {**os.environ, "SIGHTWORD_PATH": str(ideas), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", *command]
    done = subprocess.run(program, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(ideas: Path, tmp_path: Path, *flags: str) -> list[dict[str, object]]:
    """The records of a short run on a small shard."""
    data, out = small_shard(tmp_path / "pairs.tar", 40), tmp_path / "run"
    length = ("--data", str(data), "--batch-size", "16", "--log-every", "1", "--workers", "0")
    run(ideas, "sightword", "train", *flags, *length, "--out", str(out))
    assert (out / "model.safetensors").is_file()
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_listing_shows_objective_and_recipe(ideas: Path) -> None:
    listing = run(ideas, "sightword", "train", "--list")
    assert re.search(r"^  barlow-twins +- +- +Barlow Twins: each feature agrees", listing, re.MULTILINE)
    assert re.search(r"^  clip-barlow-twins-demo +- +CLIP \+ Barlow Twins", listing, re.MULTILINE)


@pytest.mark.slow
def test_its_own_test_and_the_contract_for_every_objective_pass(ideas: Path) -> None:
    own, contracts = ideas / "tests" / "test_barlow_twins.py", ROOT / "tests" / "contracts"
    command = ("pytest", "-p", "no:cacheprovider", "-k", "barlow", str(own), str(contracts))
    closing = run(ideas, *command).splitlines()[-1]
    passed = re.search(r"(\d+) passed", closing)
    assert passed is not None
    assert int(passed[1]) > 12, closing
    assert "skipped" not in closing


def test_the_recipe_trains(ideas: Path, tmp_path: Path) -> None:
    records = train(ideas, tmp_path, "clip-barlow-twins-demo", "--steps", "3")
    steps = [record["terms"] for record in records if record["kind"] == "step"]
    assert len(steps) == 3
    assert all(set(terms) == {"clip", "barlow-twins"} for terms in steps)
    assert steps[0]["barlow-twins"]["weight"] == 0.02
    assert all(-1 <= terms["barlow-twins"]["agreement"] <= 1 for terms in steps)


def test_the_masked_student_and_its_teacher_train(ideas: Path, tmp_path: Path) -> None:
    small = ("--model", "vit-tiny", "--set", "model.image.layers=2", "--lr", "3e-4", "--steps", "16")
    records = train(ideas, tmp_path, "--objective", "clip + painting(hidden=32)", *small)
    errors = [r["terms"]["painting"]["brightness_error"] for r in records if r["kind"] == "step"]
    assert sum(errors[-4:]) < 0.7 * sum(errors[:4])
