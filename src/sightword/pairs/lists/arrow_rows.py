"""Rows of Arrow tables, as Parquet files and Hugging Face data sets hold them.

A picture is a path, its bytes, or Hugging Face's struct of both, whose bytes count where they are there.
Bytes are never copied into a list: the list says in which row of which group they stand.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from sightword.errors import SightwordError
from sightword.pairs.lists.columns import (
    Columns,
    addresses,
    captions_in,
    choose_columns,
    is_address,
    path_in,
    picture_root,
)
from sightword.pairs.lists.keys import key_of
from sightword.pairs.lists.rows import InFile, InTable, Picture, Row
from sightword.pairs.reading import Reading

Spot = tuple[str, int, int]  # file, group, row in the group


@dataclass(frozen=True)
class ArrowColumns:
    """What the columns of an Arrow table mean.

    Args:
        columns: pictures, captions and keys by name.
        content: the column of encoded bytes, as `image` or `image.bytes`; "" for none.
        path: the column of paths, as `filepath` or `image.path`; "" for none.
        fields: the other columns that can be kept.
        classes: names of the classes in columns of Hugging Face's `ClassLabel`.
        root: the folder from which relative paths start.
    """

    columns: Columns
    content: str
    path: str
    fields: tuple[str, ...]
    classes: dict[str, list[str]]
    root: str

    def light(self) -> list[str]:
        """The columns to read for everything but the pictures' bytes."""
        named = (self.path, *self.columns.captions, self.columns.key, *self.fields)
        return list(dict.fromkeys(name for name in named if name))


def arrow_columns(schema: pa.Schema, reading: Reading, table: str) -> ArrowColumns:
    """Find pictures, captions and keys in a table's schema.

    Raises:
        SightwordError: a column is missing, or that of the pictures holds something else.
    """
    features = _features(schema)
    found = _pictures(schema, features)
    notes: tuple[str, ...] = ()
    if found and reading.image_key == Reading().image_key and reading.image_key not in schema.names:
        reading = replace(reading, image_key=found[0])
        if len(found) > 1:
            notes = (f"of the pictures in '{table}', those in '{found[0]}' are read (--csv-img-key)",)
    columns = choose_columns(schema.names, reading, table)
    content, path = _forms(schema, columns.image, table)
    others = tuple(name for name in schema.names if name not in columns.spoken)
    others = tuple(name for name in others if _plain(schema.field(name).type))
    classes = {name: feature["names"] for name, feature in features.items() if feature.get("names")}
    root = picture_root(table, reading)
    return ArrowColumns(replace(columns, notes=columns.notes + notes), content, path, others, classes, root)


def arrow_rows(
    light: pa.Table | pa.RecordBatch,
    sizes: Sequence[int | None],
    spots: Sequence[Spot],
    about: ArrowColumns,
    left_out: Counter[str],
) -> Iterator[Row]:
    """Rows of a piece of a table.

    Args:
        light: its columns but for the pictures' bytes.
        sizes: bytes of each picture, None where there are none but perhaps a path.
        spots: where each row stands.
        about: what the columns mean.
        left_out: counts rows without a picture.

    Raises:
        SightwordError: the pictures are web addresses.
    """
    columns, top = about.columns, about.path.partition(".")[0]
    paths = _listed(light, top) if about.path else [None] * len(spots)
    captions = [_said(light, name, about.classes) for name in columns.captions]
    fields = [(name, _listed(light, name)) for name in about.fields]
    keys = _listed(light, columns.key) if columns.key else [None] * len(spots)
    for i, spot in enumerate(spots):
        path = path_in(paths[i])
        picture = _picture(path, sizes[i], spot, about)
        if picture is None:
            left_out["without_picture"] += 1
            continue
        texts = tuple(text for column in captions for text in captions_in(column[i]))
        known = {name: values[i] for name, values in fields if values[i] is not None}
        known |= {name: "" for name in columns.kept if name not in known}
        yield Row(_key(keys[i], path, spot, about.root), picture, texts, known)


def _picture(path: str, size: int | None, spot: Spot, about: ArrowColumns) -> Picture | None:
    if size is not None:
        return InTable(spot[0], about.content, spot[1], spot[2], size)
    if is_address(path):
        raise addresses(spot[0], f"such as '{path[:80]}'")
    return InFile(os.path.join(about.root, path)) if path else None


def _key(given: Any, path: str, spot: Spot, root: str) -> str:
    if isinstance(given, str | int):
        return str(given)
    return key_of(path, root) if path else f"{PurePath(spot[0]).stem}/{spot[1]}-{spot[2]}"


def _said(light: pa.Table | pa.RecordBatch, name: str, classes: dict[str, list[str]]) -> list[Any]:
    """A column's captions; numbers of classes become their names."""
    values, names = _listed(light, name), classes.get(name)
    if names is None:
        return values
    return [names[value] if isinstance(value, int) and 0 <= value < len(names) else value for value in values]


def _listed(light: pa.Table | pa.RecordBatch, name: str) -> list[Any]:
    values: list[Any] = light.column(name).to_pylist()
    return values


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What Hugging Face's metadata say of the columns; they are a stranger's, and may say anything."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _pictures(schema: pa.Schema, features: dict[str, dict[str, Any]]) -> list[str]:
    """The columns that are pictures by their type: said to be, structs with bytes, or bytes of that name."""
    said = [name for name in schema.names if features.get(name, {}).get("_type") == "Image"]
    structs = [field.name for field in schema if kinds.is_struct(field.type) and _has_bytes(field.type)]
    return list(dict.fromkeys([*said, *structs]))


def _forms(schema: pa.Schema, name: str, table: str) -> tuple[str, str]:
    """The columns of a picture's bytes and of its path."""
    kind = schema.field(name).type
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    if _is_bytes(kind):
        return name, ""
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind):
        return "", name
    if kinds.is_struct(kind):
        inside = {field.name for field in kind}
        content = f"{name}.bytes" if _has_bytes(kind) else ""
        path = f"{name}.path" if "path" in inside else ""
        if content or path:
            return content, path
    raise SightwordError(
        f"column '{name}' of '{table}' is {kind}; pictures are paths, bytes, or structs of both: name such"
        " a column with --csv-img-key"
    )


def _has_bytes(kind: pa.DataType) -> bool:
    return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


def _plain(kind: pa.DataType) -> bool:
    """Whether values go into a list's fields: texts, numbers, times, and lists and structs of texts."""
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return bool(_is_text(kind.value_type))
    if kinds.is_struct(kind):
        return all(_is_text(field.type) for field in kind)
    if kinds.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(kinds.is_primitive(kind) or _is_text(kind) or kinds.is_null(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))
