"""`sightword index` and `sightword search`: each calls one room and prints what came of it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightword.cli import data
from sightword.cli.search_flags import IndexPictures, Search
from sightword.errors import SightwordError

if TYPE_CHECKING:
    from sightword.use.index.about import About
    from sightword.use.index.searching import Hit

_NAMED = 3  # unreadable pictures that are named; the file lists all


def index(flags: IndexPictures) -> None:
    """Make an index, or bring it up to date, and say what came of it."""
    from sightword.use.index.indexing import IndexOptions, index_pictures
    from sightword.use.model import load

    options = IndexOptions(flags.split, data.reading(flags.tables, captionless=True), flags.exact_up_to)
    model, out = load(flags.model, flags.device), Path(flags.out)
    for note in model.notes:
        _tell(note)
    made = index_pictures(flags.source, model, flags.model, out, options, _tell)
    if flags.json:
        print(json.dumps({"index": str(out), **dataclasses.asdict(made)}))
        return
    print("\n".join(_lines(made, out)))


def search(flags: Search) -> None:
    """Find pictures and print them, or serve the page.

    Raises:
        SightwordError: nothing is asked for, or several things at once.
    """
    asked = [flags.words is not None, flags.image is not None, flags.page]
    if sum(asked) != 1:
        raise SightwordError(
            'search wants one of: words ("a red bus"), --image FILE, or --page;'
            f" found {sum(asked) or 'none'} of them"
        )
    from sightword.use.index.searching import open_search

    found = open_search(flags.index, flags.model, flags.device)
    if flags.page:
        from sightword.use.page.serving import serve

        serve(found, flags.port, flags.top, _tell)
        return
    if flags.image is not None:
        _show(found.image(flags.image, flags.top), flags.json)
    else:
        _show(found.text(flags.words or "", flags.top), flags.json)


def _lines(made: About, out: Path) -> list[str]:
    done, recall = made.made, made.recall
    encoded = done.new + done.changed
    each = f", {1000 * done.seconds / encoded:.1f} ms each" if encoded else ""
    lines = [
        f"{out}: {_pictures(made.count)} ({done.new:,} new, {done.changed:,} changed, {done.kept:,} kept,"
        f" {done.removed:,} removed), {done.seconds:.1f} s{each}"
    ]
    if made.kind == "hnsw":
        lines.append(
            f"a search visits {made.visited} nodes of a graph and finds {recall.share:.1%} of the {recall.at}"
            f" nearest (measured with {recall.queries} {recall.of})"
        )
    if done.unreadable:
        with (out / "unreadable.jsonl").open(encoding="utf-8") as file:
            named = [json.loads(line) for line in [next(file) for _ in range(min(_NAMED, done.unreadable))]]
        first = "; ".join(_printable(f"{one['key']} ({one['reason']})") for one in named)
        lines.append(
            f"{_pictures(done.unreadable)} cannot be read, see {out}/unreadable.jsonl; first: {first}"
        )
    if not made.joint:
        lines.append(f"the model {made.name} knows no captions: search with --image FILE")
    words = '"a red bus"' if made.joint else "--image FILE"
    return [*lines, f"next: sightword search {out} {words}, or --page"]


def _show(hits: Sequence[Hit], as_json: bool) -> None:
    if as_json:
        for hit in hits:
            print(json.dumps(dataclasses.asdict(hit)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, justify in (("", "right"), ("cosine", "right"), ("picture", "left"), ("caption", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for hit in hits:
        words = (str(hit.rank), f"{hit.score:.3f}", hit.path or hit.key, hit.caption)
        table.add_row(*(Text(_printable(word)) for word in words))
    Console().print(table)


def _pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def _printable(text: str) -> str:
    """Without what would command the terminal: names and captions are somebody's, from anywhere."""
    return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
