"""The parts of the page in a reader's order, each with its pictures or with why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightword.report import phrases
from sightword.report.cards import cards
from sightword.report.curves import curves
from sightword.report.markup import Markup, join, tag
from sightword.report.reconstructions import reconstructions
from sightword.report.records import Run
from sightword.report.tables import Differences, key_to_runs, run_name, runs_table
from sightword.report.verdicts import Verdict


@dataclass(frozen=True)
class Section:
    """One part of the page; `missing` says what is not there and why."""

    anchor: str
    title: str
    lead: str
    body: Markup
    missing: str = ""


def render(section: Section) -> Markup:
    """The part as HTML; nothing at all where there is nothing to show and nothing missing."""
    if not section.body and not section.missing:
        return Markup("")
    return tag(
        "section",
        tag("h2", section.title),
        tag("p", section.lead, class_="note") if section.lead and section.body else "",
        section.body,
        tag("p", section.missing, class_="missing") if section.missing else "",
        id=section.anchor,
    )


def warnings(runs: Sequence[Run]) -> Section:
    """What training told to be wrong; nothing where all went well."""
    warned = [(colour, run) for colour, run in enumerate(runs) if run.warnings]
    lead = (
        "Told while these runs trained. Read their scores with that in mind: a run that went wrong says "
        "little about its objective."
    )
    body = join(
        tag(
            "article",
            tag("h3", run_name(run, colour)),
            tag("ul", *(tag("li", f"{phrases.capital(str(w.get('said', '')))}.") for w in run.warnings)),
            class_="warned",
        )
        for colour, run in warned
    )
    return Section("warnings", "Warnings", lead, body)


def comparison(runs: Sequence[Run], verdicts: Sequence[Verdict]) -> Section:
    """Every pair of runs on one budget."""
    missing = ""
    if not verdicts and len(runs) > 1:
        missing = (
            "No two of these runs saw equally many samples or cost equally many FLOPs, so a difference "
            "between them is not the objective's alone. Train one of them to the other's budget to compare."
        )
    return Section(
        "comparison",
        "The comparison",
        "",
        join([cards(verdicts), _caution(verdicts)]) if verdicts else Markup(""),
        missing,
    )


def _caution(verdicts: Sequence[Verdict]) -> Markup:
    said = [
        "A filled dot: the 95 % interval of the paired difference leaves out zero. The headline rests on the "
        "first score alone; the other intervals are not corrected for their number."
    ]
    seeds = {run.config.seed for v in verdicts for run in (v.fair.first, v.fair.second) if run.config}
    if len(seeds) <= 1:
        said.append(
            "Intervals cover the choice of test pictures. All runs have one seed, so the luck of training is "
            "not in them."
        )
    return tag("p", " ".join(said), class_="note")


def results(runs: Sequence[Run], against_first: Differences) -> Section:
    """The table."""
    lead = "Values in percent with their 95 % intervals below."
    if len(runs) > 1:
        lead += (
            f" Below that the paired difference from {runs[0].label} in points, with its interval: bold "
            "where the interval leaves out zero."
        )
    unscored = [run.label for run in runs if not run.scores]
    unfinished = [run.label for run in runs if run.end is None]
    missing = []
    if unfinished:
        missing.append(
            f"Not finished: {phrases.listed(unfinished)}; the numbers are those of the last record."
        )
    behind = [run.label for run in runs if run.is_behind]
    if behind:
        missing.append(
            f"Scored before the end: {phrases.listed(behind)}; score again with `sightword evaluate`."
        )
    if unscored:
        missing.append(f"Not scored: {phrases.listed(unscored)}; score with `sightword evaluate`.")
    return Section("results", "Runs and scores", lead, runs_table(runs, against_first), " ".join(missing))


def training(runs: Sequence[Run]) -> Section:
    """The curves."""
    lead = (
        "Left over samples seen, right over what they cost. Bands are 95 % intervals; "
        "points of a loss are means over neighbouring steps."
    )
    drawn = curves(runs)
    body = join([key_to_runs(runs), drawn]) if drawn else Markup("")
    return Section("training", "How it learned", lead, body, "" if drawn else "No steps were recorded.")


def reconstruction(runs: Sequence[Run]) -> Section:
    """Masked pictures, for runs that kept some."""
    lead = (
        "Grey patches were hidden from the encoder; the decoder painted them from the rest, which is shown "
        "as it was. A decoder of normalised patches, MAE's default, says nothing of a patch's brightness and "
        "contrast: those are the true patch's."
    )
    return Section("reconstruction", "Masked and reconstructed", lead, reconstructions(runs))
