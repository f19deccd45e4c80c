"""Labelled tars: files of one stem are one sample, as in webdataset."""

from __future__ import annotations

from pathlib import Path

from sightword.errors import SightwordError
from sightword.pairs.tars.tar import Tar

IMAGES = ("webp", "png", "jpg", "jpeg", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "avif", "jp2")


class TarSamples:
    """The samples of one tar, in its order: `samples[key][extension]` is where that file lies.

    Raises:
        SightwordError: when the file is not a plain tar, ends too early or holds a file twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tar = Tar(path)
        self.samples: dict[str, dict[str, tuple[int, int]]] = {}
        for member in self._tar.members():
            folder, slash, name = member.name.rpartition("/")
            if name.startswith(".") or not member.regular:
                continue
            stem, _, extension = name.partition(".")  # as webdataset: the extension starts at the first dot
            files = self.samples.setdefault(folder + slash + stem, {})
            if extension in files:
                raise SightwordError(f"'{path}' holds '{member.name}' twice; keys must differ")
            files[extension] = (member.offset, member.size)

    def read(self, key: str, extension: str) -> bytes:
        """The bytes of one file of a sample."""
        return self._tar.read(*self.samples[key][extension])

    def text(self, key: str, extension: str) -> str:
        """The same as text.

        Raises:
            SightwordError: when it is not UTF-8.
        """
        try:
            return self.read(key, extension).decode("utf-8")
        except UnicodeDecodeError as error:
            raise SightwordError(
                f"{self.path}: {key}.{extension} is not UTF-8; convert it (`iconv -f LATIN1 -t UTF-8`)"
            ) from error

    def image_of(self, key: str) -> str | None:
        """The extension under which a sample's picture lies; None when it has none."""
        return next((kind for kind in self.samples[key] if kind.lower() in IMAGES), None)
