"""One self-contained HTML file: what was compared, what came out, and the pictures to see it by."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from threadpoolctl import threadpool_limits

from sightword.errors import SightwordError
from sightword.evaluation.compare import Difference
from sightword.report import sections
from sightword.report.evidence import Shown, deciding, open_shown, place_of
from sightword.report.fairness import fair_comparisons
from sightword.report.galleries import Cast, embedding, neighbours, retrieval, zero_shot
from sightword.report.licences import licences
from sightword.report.markup import Markup, asset, document, tag, verbatim
from sightword.report.method import method
from sightword.report.paired import Paired, paired
from sightword.report.records import Measure, Run, read_runs
from sightword.report.sections import Section
from sightword.report.tables import key_to_runs
from sightword.report.verdicts import Verdict, headline, lede

MOST = 3  # runs whose pictures are shown


def write_report(runs: Sequence[Path], out: Path) -> Path:
    """Write one HTML file about one or more runs. It needs no network and no other file.

    Args:
        runs: run directories; the first is what the table's differences are against.
        out: the file to write.

    Returns:
        `out`.

    Raises:
        SightwordError: a directory is not a run, or its records are damaged.
    """
    with threadpool_limits(1, user_api="blas"):  # matrices are small: more threads would wait for each other
        page = render(read_runs(runs))
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_suffix(".part")
    aside.write_text(page, encoding="utf-8")
    os.replace(aside, out)
    return out


def render(runs: Sequence[Run]) -> Markup:
    """The whole page."""
    measure = deciding(runs)
    fairs = fair_comparisons(runs)
    known = _all_paired([(f.first, f.second) for f in fairs] + [(runs[0], run) for run in runs[1:]])
    verdicts = [Verdict(f, known[f.first.label, f.second.label], measure) for f in fairs]
    parts = _parts(runs, verdicts, {run.label: known[runs[0].label, run.label].found for run in runs[1:]})
    title = headline(verdicts, runs, measure)
    body = [
        _header(title, runs, parts),
        tag("main", *(sections.render(part) for part in parts)),
        tag("footer", tag("p", "Made by sightword from the records of the runs.")),
        tag("script", verbatim(asset("page.js"))),
    ]
    return document(title, body, ["page.css"])


def _all_paired(pairs: Sequence[tuple[Run, Run]]) -> dict[tuple[str, str], Paired]:
    """Each pair compared once, by the labels of its runs. Drawing works without Python's lock, in part."""
    each = {(first.label, second.label): (first, second) for first, second in pairs}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(each, threads.map(lambda two: paired(*two), each.values()), strict=True))


def _parts(
    runs: Sequence[Run],
    verdicts: Sequence[Verdict],
    against_first: Mapping[str, Mapping[Measure, Difference]],
) -> list[Section]:
    shown, missing = _shown(runs)
    parts = [
        sections.warnings(runs),
        sections.comparison(runs, verdicts),
        sections.results(runs, against_first),
        sections.training(runs),
        *(
            _pictures(runs, verdicts, shown)
            if shown
            else [Section("examples", "Pictures", "", Markup(""), missing)]
        ),
        sections.reconstruction(runs),
    ]
    used = licences(shown.place, shown.keys_used()) if shown else {}
    return [*parts, Section("method", "How it was measured", "", method(runs, used))]


def _pictures(runs: Sequence[Run], verdicts: Sequence[Verdict], shown: Shown) -> list[Section]:
    """Pictures are shown for the runs that the page compares, three at most, or it would be endless."""
    compared = [run for v in verdicts for run in (v.fair.first, v.fair.second)] or list(runs)
    chosen = list({run.label: run for run in compared}.values())[:MOST]
    cast = Cast(chosen, [[r.label for r in runs].index(run.label) for run in chosen], shown)
    return [zero_shot(cast), retrieval(cast), neighbours(cast), embedding(cast)]


def _shown(runs: Sequence[Run]) -> tuple[Shown | None, str]:
    """The set whose pictures are shown, or why none are."""
    measure = deciding(runs)
    if measure is None:
        return None, "No pictures: none of the runs has been scored; score them with `sightword evaluate`."
    try:
        return open_shown(measure, place_of(runs, measure)), ""
    except SightwordError as error:
        return None, f"No pictures: {error}."


def _header(title: str, runs: Sequence[Run], parts: Sequence[Section]) -> Markup:
    links = (tag("a", part.title, href=f"#{part.anchor}") for part in parts if part.body)
    return tag(
        "header",
        tag("p", "sightword report", class_="eyebrow"),
        tag("h1", title),
        tag("p", lede(runs), class_="lede"),
        key_to_runs(runs),
        tag("nav", *links, aria_label="parts of this page"),
    )
