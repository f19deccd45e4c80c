"""The parts of the page in a reader's order, and the figures that stand in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sightword.report import phrases
from sightword.report.markup import Markup, join, tag
from sightword.report.sections import Section
from sightword.study.analysis.answers import Answer
from sightword.study.findings import Findings
from sightword.study.page.conduct import conduct, missing
from sightword.study.page.error_figures import error_figures
from sightword.study.page.gain_figures import gain_figures
from sightword.study.page.heat_maps import heat_maps
from sightword.study.page.looks import Figure, arm_name, budget, pairs, slug
from sightword.study.page.luck_figures import luck_figure, luck_sentences
from sightword.study.page.published_figures import published_figures
from sightword.study.page.reading import method, reading
from sightword.study.page.tables import gain_tables, law_table
from sightword.study.page.verdict_cards import cards
from sightword.study.wording import measure


@dataclass(frozen=True)
class Drawn:
    """Every figure of one model.

    gains: a list for each arm, one for each budget. others: the same of each other task's main question.
    heat: of each size that has any gain, one for each budget.
    """

    model: str
    gains: list[list[Figure]]
    errors: list[Figure]
    published: list[Figure]
    others: dict[str, list[list[Figure]]]
    heat: dict[int, list[Figure]]
    luck: list[Figure]

    def all(self) -> list[Figure]:
        """Every one, in the order of the page."""
        rows = [*self.gains, self.errors, self.published, *(row for of in self.others.values() for row in of)]
        return [figure for row in (*rows, *self.heat.values(), self.luck) for figure in row]


Make = Callable[[Findings, Drawn], Markup]


def draw(findings: Findings, model: str) -> Drawn:
    """The figures of one model; none where nothing was scored."""
    deciding = findings.deciding.get(model, ())
    others: dict[str, list[Answer]] = {}
    for answer in findings.others(model):
        others.setdefault(measure(answer.question), []).append(answer)
    heat = {size: heat_maps(findings, model, size) for size in sorted(findings.study.sizes)}
    return Drawn(
        model,
        gain_figures(deciding) if deciding else [],
        error_figures(deciding) if deciding else [],
        published_figures(deciding[0], findings.published) if deciding else [],
        {said: gain_figures(of) for said, of in others.items()},
        {size: maps for size, maps in heat.items() if maps},
        [luck_figure(answer) for answer in deciding],
    )


def parts(findings: Findings, drawn: Sequence[Drawn]) -> list[Section]:
    """Every part of the page."""
    errors = (
        "Each arm's error, both axes logarithmic: small dots are seeds, marks their means, lines fitted laws"
        " with their bands. A band holds only if the arm follows such a law; no verdict rests on it."
    )
    return [
        _verdict(findings),
        Section("gain", "Gain against size", _about_gains(findings), _each(findings, drawn, _gains)),
        Section("error", "Error against size", errors, _each(findings, drawn, _errors)),
        Section("published", "Beside published results", _PUBLISHED, _each(findings, drawn, _published)),
        Section("sets", "Which data sets gain", _HEAT, _each(findings, drawn, _heat)),
        Section("luck", "Where the uncertainty comes from", _LUCK, _each(findings, drawn, _luck)),
        Section("gains", "Every gain", _GAINS, _each(findings, drawn, _tables)),
        Section("conduct", "How it was run", "", conduct(findings)),
        Section("reading", "How to read this page", "", reading()),
        Section("method", "Method and papers", "", method()),
    ]


_PUBLISHED = (
    "Hollow marks are published numbers: other data, other models, another metric (zero-shot top-1 on"
    " ImageNet). Compare the shape, never the heights."
)
_HEAT = (
    "Gains in points over the first arm. Framed and bold: shown after Holm's correction; the rest is not"
    " shown, whatever its colour. Blue is better, orange worse, and the sign says so, too."
)
_LUCK = (
    "Filled: the part of the gain's variance that is seeds; outlined: the part that is which test examples"
    " there are. More seeds shrink the first part only, more test examples the second. ± is half the"
    " interval."
)
_GAINS = (
    "Higher is better. “Shown” wants an interval without zero, two seeds or more, and p under 5 % after"
    " Holm's correction: over the tasks' main numbers together, and over all single data sets together."
)


def _verdict(findings: Findings) -> Section:
    models = findings.study.models
    body = join(
        join([_model(findings, model), cards(findings, model)])
        for model in models
        if findings.deciding.get(model)
    )
    return Section("verdict", "The verdict", _decided(findings), body, missing(findings))


def _decided(findings: Findings) -> str:
    answer = next((some[0] for some in findings.deciding.values() if some), None)
    if answer is None:
        return ""
    sets = f" ({', '.join(answer.grid.datasets)})" if answer.question.is_mean else ""
    return f"Decided by {measure(answer.question)}{sets}."


def _about_gains(findings: Findings) -> str:
    return (
        f"Gain over {findings.study.baseline.name} in points, all charts on the same axes. Filled marks are"
        " shown gains, hollow ones are not; small dots are seeds. The line with its band is the curve of the"
        " gain; shaded: beyond the sizes that were run."
    )


def _each(findings: Findings, drawn: Sequence[Drawn], make: Make) -> Markup:
    bodies = ((one.model, make(findings, one)) for one in drawn)
    return join(join([_model(findings, model), body]) for model, body in bodies if body)


def _model(findings: Findings, model: str) -> Markup:
    return tag("h3", model, class_="model-name") if len(findings.study.models) > 1 else Markup("")


def _gains(findings: Findings, drawn: Drawn) -> Markup:
    others = (
        tag("details", tag("summary", phrases.capital(said)), _rows(findings, rows))
        for said, rows in drawn.others.items()
    )
    return join([_rows(findings, drawn.gains), *others])


def _rows(findings: Findings, rows: Sequence[Sequence[Figure]]) -> Markup:
    """A row for each arm, its budgets side by side."""
    names = [budget(name) for name in findings.study.budgets]
    return join(
        tag(
            "div",
            tag("h4", arm_name(findings.study.arms[place].name, place)),
            _pair(figure.shown(phrases.capital(name)) for figure, name in zip(row, names, strict=False)),
            class_="row",
        )
        for place, row in enumerate(rows, 1)
    )


def _errors(findings: Findings, drawn: Drawn) -> Markup:
    if not drawn.errors:
        return Markup("")
    return join(
        [_key(findings), _pair(f.shown() for f in drawn.errors), law_table(findings.deciding[drawn.model])]
    )


def _key(findings: Findings) -> Markup:
    items = (tag("li", arm_name(arm.name, place)) for place, arm in enumerate(findings.study.arms))
    return tag("ul", *items, class_="key")


def _published(findings: Findings, drawn: Drawn) -> Markup:
    if not drawn.published:
        return Markup("")
    told = [
        f"{f.paper}, {f.objective} on {f.corpus} ({pairs(f.size)}): {f.said}."
        for f in findings.published.findings
    ]
    words = tag("ul", *(tag("li", one) for one in told), class_="listing")
    return join([_pair(figure.shown() for figure in drawn.published), words])


def _heat(_findings: Findings, drawn: Drawn) -> Markup:
    """One size at a time, chosen without a script; the largest first."""
    if not drawn.heat:
        return Markup("")
    name, last = slug("size", drawn.model), max(drawn.heat)
    buttons, maps, rules = [], [], []
    for size, figures in drawn.heat.items():
        own = f"{name}-{size}"
        pick = tag("input", type="radio", name=name, id=own, checked=size == last)
        buttons.append(tag("label", pick, f" {pairs(size)}"))
        shown = (
            tag("div", f.shown(), class_="wide", tabindex=0, role="region", aria_label=f.title)
            for f in figures
        )
        maps.append(tag("div", *shown, class_="at side", data_size=size))
        rules.append(f'.sized:has(input[id="{own}"]:checked) > .at[data-size="{size}"] {{ display: flex }}')
    fieldset = tag("fieldset", tag("legend", "Size", class_="sr"), *buttons, class_="sizes")
    return join([tag("style", Markup("\n".join(rules))), tag("div", fieldset, *maps, class_="sized")])


def _luck(findings: Findings, drawn: Drawn) -> Markup:
    told = luck_sentences(findings.deciding.get(drawn.model, ()))
    words = tag("ul", *(tag("li", one) for one in told), class_="listing") if told else Markup("")
    return join([words, _pair(figure.shown() for figure in drawn.luck)]) if drawn.luck else words


def _tables(findings: Findings, drawn: Drawn) -> Markup:
    return gain_tables(findings, drawn.model)


def _pair(figures: Iterable[Markup]) -> Markup:
    return tag("div", *figures, class_="pair")
