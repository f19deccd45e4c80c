"""What every form of export is: it refuses, writes a folder, and has the folder loaded again."""

from __future__ import annotations

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float, UInt8
from torch import Tensor

from sightword.training.model import Model

EncodeImage = Callable[[UInt8[Tensor, "b 3 s s"]], Float[Tensor, "b d"]]
EncodeText = Callable[[Sequence[str]], Float[Tensor, "n e"]]


class UnloadableError(Exception):
    """The library that an export is for cannot be used here; its text says why."""


@dataclass(frozen=True)
class Loaded:
    """An exported model, loaded again.

    by: who loaded it, with its version.
    image: features of prepared pictures, through the preprocessing that was exported.
    text: features of sentences, through the tokenizer that was exported; None: it encodes pictures alone.
    pooled: whether `image` answers with the tower's own feature and not with the joint space's.
    """

    by: str
    image: EncodeImage
    text: EncodeText | None = None
    pooled: bool = False


class Target(ABC):
    """A form of export.

    Attributes:
        name: what `--to` calls it.
        library: for whom it is, in the words of a model card's `library_name`.
        packages: whose versions are written down beside it.
        borrowed: whether it holds towers of other libraries, which only the folder of our own does.
    """

    name: ClassVar[str]
    library: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    borrowed: ClassVar[bool] = False

    @abstractmethod
    def refuses(self, model: Model) -> str:
        """Why this form cannot hold the model; "" when it can. Nothing is written before it is asked."""

    @abstractmethod
    def write(self, model: Model, folder: Path) -> None:
        """Write everything that the library needs into an empty folder.

        Raises:
            SightwordError: a package that writing needs is not installed.
        """

    @abstractmethod
    def loaded(self, model: Model, folder: Path) -> Loaded:
        """The folder, loaded by the library that it is for.

        Raises:
            UnloadableError: the library is not installed, or does not work here.
        """

    @abstractmethod
    def reread(self, model: Model, folder: Path) -> Loaded:
        """The folder, read by sightword's own readers, where its library cannot be used."""

    def settle(self, folder: Path, place: Path) -> None:  # noqa: B027  most forms have nothing to settle
        """Called when all agrees: a form that names its own place names the one it will be moved to."""

    def alone(self, model: Model) -> bool:
        """Whether only the image tower is exported."""
        return not model.has_text

    def told(self, model: Model) -> str:
        """What a user must know of how the model is held; "" for nothing."""
        return ""

    @abstractmethod
    def use(self, place: Path) -> str:
        """Python that loads the folder, three lines or so, for the model card."""

    def describe(self, model: Model) -> str:
        """What a model card says of the files beside that; Markdown."""
        return ""


def library(name: str) -> Any:
    """A module that is no part of sightword, imported when an export is verified.

    Raises:
        UnloadableError: it is not installed, or breaks while it is imported.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # a library that was built for another torch raises anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnloadableError(f"{name} cannot be imported here ({why})") from error


def version_of(package: str) -> str:
    """The version of an installed package; "" of one that is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
