"""`adapt.html`: one self-contained page of an adaptation."""

from __future__ import annotations

from pathlib import Path

from sightword.adapting.findings import Findings
from sightword.adapting.page.parts import parts, runs_of
from sightword.report import phrases, sections
from sightword.report.markup import Markup, document, tag
from sightword.report.tables import key_to_runs
from sightword.training.disk import write_text

NAME = "adapt.html"
SHEETS = ("page.css", "study.css", "adapt.css")


def write_page(findings: Findings, out: Path) -> Path:
    """Write OUT/adapt.html, which needs no network and no other file, and give its path."""
    page = out / NAME
    write_text(page, render(findings))
    return page


def render(findings: Findings) -> Markup:
    """The whole page."""
    made, title = parts(findings), findings.title()
    links = (tag("a", part.title, href=f"#{part.anchor}") for part in made if part.body)
    header = tag(
        "header",
        tag("p", "sightword adapt: what it gained, and what it cost", class_="eyebrow"),
        tag("h1", title),
        tag("p", _lede(findings), class_="lede"),
        key_to_runs(runs_of(findings)),
        tag("nav", *links, aria_label="parts of this page"),
    )
    footer = tag("footer", tag("p", "Made by sightword from the records of the adaptation."))
    main = tag("main", *(sections.render(part) for part in made))
    return document("sightword adapt", [header, main, footer], SHEETS)


def _lede(findings: Findings) -> str:
    asked = findings.asked
    pairs = findings.start.get("pairs")
    learned = f"{phrases.count(pairs)} pairs of " if pairs else ""
    share = findings.chosen.alpha
    held = (
        f" adapted/ holds {share:g} of the weights after and {1 - share:g} of those before." if share else ""
    )
    numbers = f"{findings.gained()}." if share else findings.verdict().removeprefix(f"{findings.title()}. ")
    return f"{asked.weights}, adapted to {learned}{asked.config.data.path}.{held} {numbers}"
