"""The parts of the page about captions."""

from __future__ import annotations

from collections.abc import Sequence

from sightword.corpora.stats.charts import Mark, bars, short
from sightword.corpora.stats.pieces import columns, shares, table
from sightword.corpora.stats.record import CaptionStats, Common, Curve
from sightword.corpora.stats.says import percent
from sightword.report.figures import Axis, Series, line_chart
from sightword.report.markup import Markup, join, tag
from sightword.report.phrases import short_count
from sightword.report.sections import Section

_MATCHES = "Matches taken for mismatches"


def captions(at: CaptionStats) -> Section:
    """Lengths, the commonest, variety and what is no description."""
    if not at.captions:
        return Section("captions", "Captions", "", Markup(""), f"None of {at.pairs:,} pairs has a caption.")
    figures = [
        bars("Words", at.words, "words of a caption", short),
        bars("Tokens", at.tokens, "tokens of CLIP", short, Mark(at.context, f"CLIP reads {at.context}")),
        _growth("Different captions", at.growth, "captions drawn"),
        _growth("Different words", at.word_growth, "words drawn"),
        shares("Scripts, by most letters of a caption", at.scripts, at.captions, 12),
        shares("Captions of a picture", at.per_picture, at.pairs, 12),
    ]
    common = [
        _common("The commonest captions", at.common, at.captions),
        _common("The commonest words", at.common_words, at.word_count),
    ]
    lead = (
        f"{at.captions:,} captions of {at.pairs:,} pairs, {at.distinct:,} different ones after CLIP's "
        f"cleaning (lower case, single spaces); {at.word_count:,} words, {at.distinct_words:,} different, "
        f"{at.once_words:,} of them once."
    )
    return Section("captions", "Captions", lead, join([columns(figures), columns(common), _noise(at)]))


def false_negatives(at: CaptionStats) -> Section:
    """What a batch is expected to hold."""
    if not at.captions:
        return Section("matches", _MATCHES, "", Markup(""))
    lead = (
        "A contrastive loss takes every other pair of a batch for a mismatch. Where two pairs have the same "
        "caption that is wrong: it pushes a picture away from words that describe it. These are means over "
        "all batches that can be drawn from the pairs that were read, each with its first caption, computed "
        "exactly from how often each caption occurs. Captions that say the same in other words come on top."
    )
    possible = [one for one in at.batches if one.batch <= at.pairs]
    more = [one for one in at.batches if one.batch > at.pairs][:1]
    rows = {
        (f"{one.batch:,}" if one in possible else f"all {at.pairs:,} pairs"): (
            f"{one.pairs:,.1f}",
            percent(one.share),
            f"{one.false_negatives:,.1f}",
            f"{one.per_pair:.3g}",
        )
        for one in [*possible, *more]
    }
    head = (
        "batch size",
        "pairs that share their caption",
        "of the batch",
        "wrong mismatches",
        "for each pair",
    )
    return Section("matches", _MATCHES, lead, table("Expected in a batch", rows, head))


def _growth(title: str, curve: Curve, axis: str) -> Markup:
    """How much new comes with more."""
    line = Series(title, curve.xs, curve.ys, 0)
    chart = line_chart(f"{title} over {axis}", [line], Axis(axis, short_count), Axis("", short_count))
    return tag("figure", tag("figcaption", title), chart)


def _common(title: str, common: Sequence[Common], total: int) -> Markup:
    return shares(title, {one.text: one.count for one in common}, total)


def _noise(at: CaptionStats) -> Markup:
    """What makes a caption no description, with an example each."""
    rows = {
        name: (
            percent(share),
            f"{share.count:,} of {share.of:,}",
            tag("td", at.noise_examples.get(name, ""), class_="words", dir="auto"),
        )
        for name, share in ({**at.noise, f"more than {at.context} tokens": at.over_context}).items()
    }
    note = tag("p", f"{percent(at.letters)} of all characters are letters.", class_="note")
    return join([table("Captions that have \u2026, and the first of them", rows), note])
