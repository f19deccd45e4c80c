"""The frame of the project: who may import whom, how large a room may grow, and what nobody may do."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sightword"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 320, 60
PEERS = {"torchvision", "timm", "open_clip", "lightly"}  # only tests and exports may know them
UNPICKLING = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level package of every import, also of those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def name_of(file: Path) -> str:
    return str(file.relative_to(SOURCE))


every_module = pytest.mark.parametrize("file", MODULES, ids=name_of)


def test_the_source_is_found() -> None:
    assert {"words.py", "cli/__init__.py", "objectives/clip.py"} <= {name_of(file) for file in MODULES}


def test_rooms_import_downwards_only() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    if not lint_imports.exists():
        pytest.skip("import-linter is not installed")
    kept = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert kept.returncode == 0, kept.stdout
    assert " 0 broken" in kept.stdout


@every_module
def test_a_room_is_small_and_says_what_it_is(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_FILE
    tree = parsed(file)
    assert ast.get_docstring(tree), "a module says in its first line what it is"
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno}
    assert {name: length for name, length in long.items() if length > LONGEST_FUNCTION} == {}


@every_module
def test_public_names_have_docstrings(file: Path) -> None:
    silent = [
        node.name
        for node in parsed(file).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


@every_module
def test_no_peer_is_imported_and_nothing_is_unpickled(file: Path) -> None:
    tree = parsed(file)
    assert set(imported(tree)) & (PEERS | UNPICKLING) == set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert called != "torch.load" or given.get("weights_only") == "True", f"line {call.lineno}"
        assert called not in ("np.load", "numpy.load") or given.get("allow_pickle", "False") == "False"
        assert called not in ("eval", "exec", "yaml.load"), f"line {call.lineno}"


def test_package_files_hold_nothing_heavy() -> None:
    """Importing a room's package must not import the room."""
    for file in SOURCE.glob("*/__init__.py"):
        if file.parent.name != "cli":
            statements = [node for node in parsed(file).body if not isinstance(node, ast.Expr)]
            assert statements == [], name_of(file)


@pytest.mark.parametrize(
    "statement",
    [
        "import sightword",
        "from sightword.cli import main; main(['--help'])",
        "from sightword.cli import main; main(['train', '--help'])",
        "from sightword.cli import main; main(['evaluate', '--help'])",
        "from sightword.cli import main; main(['train', '--list'])",
        "from sightword.objectives import catalogue; catalogue.parse('clip + 0.5 * mae')",
        "from sightword.recipes import catalogue; catalogue.find('slip-vit-b16-yfcc15m')",
    ],
)
def test_asking_what_there_is_loads_no_torch(statement: str) -> None:
    heavy = "torch", "matplotlib", "scipy", "sklearn", "pyarrow"
    program = (
        "import sys\n"
        f"try:\n    {statement}\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"found = sorted(set(sys.modules) & set({heavy!r}))\n"
        "assert not found, found\n"
    )
    environment = {**os.environ, "SIGHTWORD_PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone."""
    names = sorted(file.name for file in (ROOT / "tests").rglob("*.py"))
    assert [one for one, next_one in pairwise(names) if one == next_one and one != "conftest.py"] == []


def test_every_room_has_tests() -> None:
    """Each package of the source has a folder of tests beside it."""
    rooms = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file()}
    tested = {folder.name for folder in (ROOT / "tests").iterdir() if list(folder.glob("test_*.py"))}
    assert rooms - tested <= {"cli"}  # tested by tests/test_cli.py
