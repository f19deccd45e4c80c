"""`study.html`: one self-contained page of a study, with its figures and numbers as files beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sightword.report import phrases, sections
from sightword.report.markup import Markup, asset, document, tag
from sightword.report.sections import Section
from sightword.report.standalone import standalone
from sightword.study.findings import Findings
from sightword.study.page.exports import write_tables
from sightword.study.page.looks import arm_name, named, pairs
from sightword.study.page.parts import Drawn, draw, parts
from sightword.study.page.verdict_cards import headline

NAME = "study.html"
SHEETS = ("page.css", "study.css")


def write_page(findings: Findings, out: Path) -> Path:
    """Write OUT/study.html, OUT/figures/*.svg and the tables. The same findings make the same bytes.

    Args:
        findings: of `analyse`.
        out: the study's directory.

    Returns:
        The page, which needs no network and no other file.
    """
    drawn = [draw(findings, model) for model in findings.study.models]
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    sheets = [asset(name) for name in SHEETS]
    figures = named([figure for one in drawn for figure in one.all()])
    for figure in figures:
        _write(folder / f"{figure.name}.svg", standalone(figure.drawing, figure.title, sheets, figure.note))
    for old in set(folder.glob("*.svg")) - {folder / f"{figure.name}.svg" for figure in figures}:
        old.unlink()  # of an earlier page of the same study
    write_tables(findings, out)
    return _write(out / NAME, render(findings, drawn))


def render(findings: Findings, drawn: Sequence[Drawn]) -> Markup:
    """The whole page."""
    title, made = headline(findings), parts(findings, drawn)
    body = [
        _header(title, findings, made),
        tag("main", *(sections.render(part) for part in made)),
        tag("footer", tag("p", "Made by sightword from the records of the runs.")),
    ]
    return document(title, body, SHEETS)


def _header(title: str, findings: Findings, made: Sequence[Section]) -> Markup:
    study = findings.study
    links = (tag("a", part.title, href=f"#{part.anchor}") for part in made if part.body)
    key = (tag("li", arm_name(arm.name, place)) for place, arm in enumerate(study.arms))
    return tag(
        "header",
        tag("p", "sightword study: does it pay?", class_="eyebrow"),
        tag("h1", title),
        tag("p", _lede(findings), class_="lede"),
        tag("ul", *key, class_="key"),
        tag("nav", *links, aria_label="parts of this page"),
    )


def _lede(findings: Findings) -> str:
    """What was run, in one sentence or two."""
    study = findings.study
    sizes = f"{pairs(study.sizes[0])}"
    if len(study.sizes) > 1:
        sizes = f"{len(study.sizes)} sizes from {phrases.count(study.sizes[0])} to {pairs(study.sizes[-1])}"
    seeds = f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"
    sets = {point.dataset for point in findings.points}
    return (
        f"{len(study.arms)} arms of {phrases.listed(list(study.models))}, {sizes}, {seeds}, scored on"
        f" {len(sets)} data set{'s' if len(sets) != 1 else ''}. Every arm is compared with"
        f" {study.baseline.name}."
    )


def _write(file: Path, text: str) -> Path:
    aside = file.with_name(f"{file.name}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
    return file
