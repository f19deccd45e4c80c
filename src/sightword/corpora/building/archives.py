"""Package archives read in place, never unpacked: npm's `.tgz` and Debian's `.deb`."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path

from sightword.errors import SightwordError

MOST_BYTES = 256 << 20  # of one file inside an archive; the largest in use has 40 MB
_AR = b"!<arch>\n"
_AR_HEADER = 60  # bytes: name 16, date 12, owner 6, group 6, mode 8, size 10, end 2
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, LZMAError, UnicodeDecodeError, ValueError)


@dataclass(frozen=True)
class Member:
    """A file of a package; of a link nothing but its name."""

    name: str  # inside the package, e.g. "json/twemoji.json"
    content: bytes
    link: bool = False


@dataclass(frozen=True)
class Archive:
    """A package on disk."""

    path: Path
    package: str
    version: str
    sha256: str
    deb: bool = False

    @property
    def source(self) -> str:
        """How samples name where they are from."""
        return f"{self.package}@{self.version}"

    def members(self, wanted: Callable[[str], bool]) -> Iterator[Member]:
        """The files and links whose name is wanted, in the archive's order.

        Raises:
            SightwordError: the archive is damaged, or a wanted file is larger than any honest one.
        """
        with _opened(self.path) as tar:
            for info in tar:
                name = info.name.removeprefix("./")
                if not self.deb:
                    name = name.partition("/")[2]  # npm puts a folder around a package
                if not wanted(name):
                    continue
                if info.isfile():
                    yield Member(name, _content(tar, info, self.path))
                elif info.issym() or info.islnk():
                    yield Member(name, b"", link=True)

    def read(self, name: str) -> bytes:
        """One file.

        Raises:
            SightwordError: it is not there, or the archive is damaged.
        """
        for member in self.members(lambda found: found == name):
            return member.content
        raise SightwordError(f"'{self.path}' holds no '{name}'; give another version of {self.package}")


def open_archive(path: Path) -> Archive:
    """Which package a file is, by what it says of itself and whatever it is called.

    Raises:
        SightwordError: it cannot be read, or is neither a `.tgz` of npm nor a `.deb`.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SightwordError(f"cannot read '{path}': {error.strerror}; check its name and rights") from error
    deb = _is_deb(path)
    package, version = _deb_identity(path) if deb else _npm_identity(path)
    return Archive(path, package, version, sha256, deb)


def _npm_identity(path: Path) -> tuple[str, str]:
    described = Archive(path, "the package", "", "").read("package.json")
    try:
        found = json.loads(described)
        return str(found["name"]), str(found["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise SightwordError(f"'{path}' has a damaged package.json; fetch the package again") from error


def _deb_identity(path: Path) -> tuple[str, str]:
    with _opened(path, "control.tar") as tar:
        found = (_content(tar, info, path) for info in tar if info.name.removeprefix("./") == "control")
        lines = next(found, b"").decode(errors="replace").splitlines()
    fields = dict(line.split(": ", 1) for line in lines if ": " in line and not line.startswith(" "))
    if "Package" not in fields or "Version" not in fields:
        raise SightwordError(f"'{path}' does not say which package it is; fetch it again")
    return fields["Package"], fields["Version"]


def _is_deb(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_AR)) == _AR


class _opened:  # noqa: N801  a context manager that reads like a function
    """The tar inside an archive, whose errors name the archive."""

    def __init__(self, path: Path, part: str = "data.tar") -> None:
        self._path, self._part = path, part

    def __enter__(self) -> tarfile.TarFile:
        try:
            inner = _deb_part(self._path, self._part) if _is_deb(self._path) else self._path.open("rb")
            self._inner, self._tar = inner, tarfile.open(fileobj=inner, mode="r:*")
        except _BROKEN as error:
            raise _damaged(self._path, error) from error
        return self._tar

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._tar.close()
        self._inner.close()
        if isinstance(error, _BROKEN):
            raise _damaged(self._path, error) from error


def _deb_part(path: Path, part: str) -> io.BytesIO:
    """The bytes of `data.tar.*` or `control.tar.*`: a `.deb` is an `ar` archive of both (deb(5))."""
    with path.open("rb") as file:
        file.seek(len(_AR))
        while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
            name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            if name.startswith(part):
                if name.endswith(".zst"):
                    raise SightwordError(
                        f"'{path}' is packed with zstd; give Debian's own package, which is packed with xz"
                    )
                return io.BytesIO(file.read(size))
            file.seek(size + size % 2, io.SEEK_CUR)
    raise tarfile.ReadError(f"no {part}")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> bytes:
    if info.size > MOST_BYTES:
        raise SightwordError(
            f"'{info.name}' in '{path}' has {info.size:,} bytes, more than {MOST_BYTES:,}; is it the package?"
        )
    file = tar.extractfile(info)
    assert file is not None, "asked of regular files only"
    return file.read()


def _damaged(path: Path, error: BaseException) -> SightwordError:
    why = str(error).partition("\n")[0].rstrip(":")
    return SightwordError(
        f"'{path}' is damaged or not a package of npm (.tgz) or Debian (.deb): {why}; fetch it again"
    )
