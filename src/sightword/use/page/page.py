"""The page as HTML: a question, and the pictures found. No script: a form and links do it all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sightword.report.markup import Markup, asset, document, join, tag
from sightword.use.index.about import About
from sightword.use.index.searching import Hit

TOPS = (20, 50, 100, 200)  # how many pictures the page offers to show
LONGEST = 500  # letters of a question
STALE = "The pictures have changed since they were indexed; sightword index brings the index up to date."
_LIKE = "Pictures like this one"
_SHEETS = ("page.css", "search.css")


@dataclass(frozen=True)
class Asked:
    """What is looked for: words, or what is like picture `like` of the index; neither at first."""

    words: str = ""
    like: Hit | None = None
    top: int = TOPS[0]


def policy() -> str:
    """The page's Content-Security-Policy: style, pictures and forms of its own, nothing else."""
    digest = base64.b64encode(hashlib.sha256("\n".join(map(asset, _SHEETS)).encode()).digest()).decode()
    rules = ["default-src 'none'", "img-src 'self' data:", f"style-src 'sha256-{digest}'"]
    rules += ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    return "; ".join(rules)


def page(
    about: About,
    asked: Asked,
    hits: Sequence[Hit],
    tries: Sequence[str],
    problem: str = "",
    stale: bool = False,
) -> Markup:
    """The whole page.

    Args:
        about: the index.
        asked: what is looked for.
        hits: what was found.
        tries: captions of the index, to begin with.
        problem: what is wrong with the question.
        stale: the pictures are no longer those that were indexed.
    """
    title = f"\u201c{asked.words}\u201d" if asked.words else _LIKE if asked.like else "Search"
    body = [
        tag(
            "header",
            tag("p", f"sightword search \u00b7 {_pictures(about.count)}", class_="eyebrow"),
            tag("h1", "Find pictures"),
            _form(about, asked),
            _tries(tries) if about.joint and not hits else "",
            tag("p", STALE, class_="note", role="status") if stale else "",
        ),
        tag("main", _found(asked, hits, problem)),
        tag("footer", tag("p", _made(about))),
    ]
    return document(f"{title} \u00b7 sightword", [part for part in body if part], _SHEETS)


def told(title: str, words: str) -> Markup:
    """A page that only says something."""
    said = tag("header", tag("h1", title), tag("p", words))
    return document(f"{title} \u00b7 sightword", [said], _SHEETS)


def _form(about: About, asked: Asked) -> Markup:
    options = (
        tag("option", count, value=count, selected=count == asked.top) for count in sorted({*TOPS, asked.top})
    )
    what = "What should the pictures show?"
    return tag(
        "form",
        tag(
            "input", type="search", name="q", value=asked.words, placeholder=what, aria_label=what,
            autofocus=not asked.like, autocomplete="off", maxlength=LONGEST, disabled=not about.joint,
        ),
        tag("select", *options, name="top", aria_label="how many pictures"),
        tag("button", "Search", type="submit"),
        action="./", method="get", role="search", class_="asking",
    )  # fmt: skip


def _tries(tries: Sequence[str]) -> Markup:
    links = (tag("li", tag("a", words, href=f"./?{urlencode({'q': words})}")) for words in tries)
    return tag("ul", tag("li", "for example"), *links, class_="tries") if tries else Markup("")


def _found(asked: Asked, hits: Sequence[Hit], problem: str) -> Markup:
    if problem:
        return tag("section", tag("p", problem, class_="missing", role="alert"))
    if not hits:
        return Markup("")
    lead = (
        "Best first. The number is the cosine of the angle between both features; 1 means the same direction."
    )
    return tag(
        "section",
        tag(
            "h2",
            f"{_pictures(len(hits))} for \u201c{asked.words}\u201d" if asked.words else _LIKE,
        ),
        tag("p", _picture(asked.like), class_="asked-with") if asked.like else "",
        tag("p", lead, class_="note"),
        tag("ol", *(_hit(hit, asked.top) for hit in hits), class_="hits"),
    )


def _hit(hit: Hit, top: int) -> Markup:
    like = tag("a", "more like this", href=f"./?{urlencode({'like': hit.row, 'top': top})}", rel="nofollow")
    return tag(
        "li",
        tag("a", _picture(hit), href=f"picture/{hit.row}/large", class_="shown"),
        tag("p", hit.caption) if hit.caption else "",
        tag("small", hit.key),
        tag("small", join([tag("span", f"{hit.score:.3f}"), like]), class_="line"),
    )


def _picture(hit: Hit) -> Markup:
    said = hit.caption or hit.key
    return tag("img", src=f"picture/{hit.row}/small", alt=said, title=said, class_="tile", loading="lazy")


def _pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def _made(about: About) -> str:
    recall = about.recall
    share = "" if about.kind == "flat" else f" A search finds {recall.share:.1%} of the {recall.at} nearest."
    return f"{about.data}, by the model {about.name}. Served to this machine alone.{share}"
