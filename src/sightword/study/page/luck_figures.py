"""How much of a gain's uncertainty is the luck of seeds and how much the choice of test examples."""

from __future__ import annotations

from collections.abc import Sequence

from sightword.report import phrases
from sightword.report.figures import COLOURS
from sightword.report.markup import Markup, join, tag
from sightword.study.analysis.answers import Answer
from sightword.study.analysis.gains import Gain
from sightword.study.page.looks import Figure, budget, short, slug
from sightword.study.wording import measure

_NAMES, _LONG, _AFTER, _HIGH = 62.0, 210.0, 168.0, 21.0


def luck_figure(answer: Answer) -> Figure:
    """Bars: of each arm and size, the share of the gain's variance that is seeds."""
    asked, parts, top = answer.question, [], 4.0
    for place, arm in enumerate(answer.arms, 1):
        parts.append(tag("text", short(arm.objective), x="0", y=f"{top + 11:.1f}", class_="said strong"))
        top += _HIGH
        for gain in arm.gains:
            parts.append(_bar(gain, top, place))
            top += _HIGH
    title = (
        f"Share of seeds in the variance of the gain, {budget(asked.budget)}: {measure(asked)}, {asked.model}"
    )
    box = f"0 0 {_NAMES + _LONG + _AFTER:g} {top + 4:g}"
    drawing = tag("svg", tag("title", title), *parts, viewBox=box, role="img", class_="chart plot")
    return Figure(slug("luck", asked.model, asked.task, asked.budget), title, drawing)


def share_of_seeds(gain: Gain) -> float | None:
    """Of the gain's variance; None with a single seed, when nothing is known of it."""
    if gain.seeds_error is None or gain.error <= 0:
        return None
    return gain.seeds_error**2 / gain.error**2


def luck_sentences(answers: Sequence[Answer]) -> list[str]:
    """At each budget, of the largest size: what would narrow the intervals."""
    told = []
    for answer in answers:
        largest = max(answer.grid.sizes)
        last = [gain for arm in answer.arms for gain in arm.gains if gain.size == largest]
        shares = [share for gain in last if (share := share_of_seeds(gain)) is not None]
        if shares:
            about = phrases.capital(budget(answer.question.budget))
            told.append(f"{about}, {phrases.count(largest)} pairs: {_advice(min(shares), max(shares))}")
    return told


def _advice(low: float, high: float) -> str:
    share = _percent(low) if _percent(low) == _percent(high) else f"{_percent(low)} to {_percent(high)}"
    more = "more seeds or more test examples"
    more = "more seeds" if low > 0.5 else "more test examples" if high < 0.5 else more
    said = f"{share} of the variance is seeds, the rest the choice of test examples"
    return f"{said}; {more} would narrow the intervals most."


def _bar(gain: Gain, top: float, place: int) -> Markup:
    middle, share = f"{top + 11:.1f}", share_of_seeds(gain)
    name = tag("text", phrases.short_count(gain.size), x=f"{_NAMES - 8:g}", y=middle, text_anchor="end")
    after = {"x": f"{_NAMES + _LONG + 8:g}", "y": middle}
    if share is None:
        return join([name, tag("text", "one seed: not known", class_="none", **after)])
    size = {"y": f"{top:.1f}", "height": f"{_HIGH - 6:g}"}
    whole = tag("rect", x=f"{_NAMES:g}", width=f"{_LONG:g}", class_="test", **size)
    luck = tag("rect", x=f"{_NAMES:g}", width=f"{_LONG * share:.1f}", class_="luck", **size)
    half = 100 * (gain.gain.high - gain.gain.low) / 2
    said = f"{_percent(share)} seeds; ±{half:.1f} points"
    return join([name, tag("g", luck, whole, class_=f"c{place % COLOURS}"), tag("text", said, **after)])


def _percent(share: float) -> str:
    return f"{100 * share:.0f}{phrases.THIN}%"
