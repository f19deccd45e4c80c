"""Packages made on the spot, as npm and Debian pack them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
SQUARE = '<path fill="{}" d="M2 2h12v12H2z"/>'
MIT = {"title": "MIT", "spdx": "MIT", "url": "https://opensource.org/license/mit"}


def packed(files: Files, compression: str = "gz", links: Mapping[str, str] | None = None) -> bytes:
    """A compressed tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{compression}") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return content.getvalue()


def npm_package(path: Path, name: str, version: str, files: Files) -> Path:
    """A `.tgz` as `npm pack` leaves it."""
    described = json.dumps({"name": name, "version": version}).encode()
    path.write_bytes(
        packed({f"package/{file}": data for file, data in (files | {"package.json": described}).items()})
    )
    return path


def deb_package(
    path: Path, name: str, version: str, files: Files, links: Mapping[str, str] | None = None
) -> Path:
    """A `.deb`: an `ar` of a version, a control tar and a data tar (deb(5))."""
    control = f"Package: {name}\nVersion: {version}\nDescription: made for a test\n Version: none\n".encode()
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": packed({"./control": control}),
        "data.tar.xz": packed(
            {f"./{file}": data for file, data in files.items()},
            "xz",
            {f"./{a}": b for a, b in (links or {}).items()},
        ),
    }
    path.write_bytes(ar(parts))
    return path


def ar(parts: Files) -> bytes:
    """An archive in the common format of ar(5)."""
    content = b"!<arch>\n"
    for name, data in parts.items():
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return content


def icon_set(icons: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What Iconify keeps of one set; an icon may be given by its body alone."""
    whole = {name: {"body": icon} if isinstance(icon, str) else icon for name, icon in icons.items()}
    return {"icons": whole, "width": 16, "height": 16, **more}


def icon_package(
    path: Path, sets: Mapping[str, tuple[dict[str, Any], dict[str, Any]]], version: str = "2.2.535"
) -> Path:
    """Iconify's package: for each set what the list of sets says, and the set itself."""
    files = {f"json/{prefix}.json": json.dumps(data).encode() for prefix, (_, data) in sets.items()}
    listed = {
        prefix: {"name": prefix.title(), "total": len(data["icons"]), "license": MIT, "palette": True, **info}
        for prefix, (info, data) in sets.items()
    }
    return npm_package(
        path, "@iconify/json", version, files | {"collections.json": json.dumps(listed).encode()}
    )
