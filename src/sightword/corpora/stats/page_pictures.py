"""The parts of the page about pictures."""

from __future__ import annotations

from sightword.corpora.stats.charts import Mark, bars, short
from sightword.corpora.stats.pieces import columns, shares, table, with_code
from sightword.corpora.stats.record import PictureStats, Stats
from sightword.corpora.stats.says import percent, size
from sightword.corpora.stats.sizes import dots
from sightword.report.markup import Markup, join, tag
from sightword.report.sections import Section

_CHANNELS = ("red", "green", "blue")


def pictures(found: Stats) -> Section:
    """Formats, sizes, and what is special."""
    at = found.pictures
    reasons = Markup("")
    if at.unreadable.count:
        reasons = shares("Why pictures cannot be read", at.unreadable_reasons, at.unreadable.count)
    if not at.readable:
        return Section("pictures", "Pictures", "", reasons, "No picture could be read.")
    mark = Mark(at.train_size, f"training size {at.train_size}")
    figures = [
        bars("Shorter side", at.shorter_side, "pixels", short, mark),
        dots("Width and height", at.sizes, mark),
        bars("Aspect ratio", at.aspect, "width : height", _ratio, centred=True),
        bars("Bytes per pixel", at.bytes_per_pixel, "bytes", _part),
        bars("Time to decode", at.milliseconds, "milliseconds of one core", short),
        tag("div", shares("Formats", at.formats, at.readable), shares("Modes", at.modes, at.readable)),
    ]
    lead = (
        f"{at.sample:,} of {found.about.pairs:,} pictures decoded at their full size, {at.megapixels:.2g} "
        f"megapixels on average; one core decodes {at.per_second:,.0f} a second."
    )
    return Section(
        "pictures", "Pictures", lead, join([columns(figures), _flags(found), reasons, _shrink(found)])
    )


def colours(at: PictureStats) -> Section:
    """Brightness, contrast, variety and channels."""
    if not at.readable:
        return Section("colours", "Light and colour", "", Markup(""))
    figures = [
        bars("Brightness", at.brightness, "mean of a picture, 0 black to 1 white", short),
        bars("Contrast", at.contrast, "standard deviation within a picture", short),
        bars("Variety", at.entropy, "entropy of a picture's brightness, bits", short),
    ]
    numbers = zip(_CHANNELS, at.channel_mean, at.model_mean, at.channel_std, at.model_std, strict=True)
    channels = table(
        "Channels, every picture counting alike; the models' numbers are ImageNet's",
        {name: [f"{number:.3f}" for number in row] for name, *row in numbers},
        ("", "mean", "models subtract", "standard deviation", "models divide by"),
    )
    return Section("colours", "Light and colour", "", join([columns(figures), channels]))


def _flags(found: Stats) -> Markup:
    """Shares of pictures that have something special."""
    at = found.pictures
    rows = {
        "cannot be read": at.unreadable,
        f"are smaller than training at {at.train_size}": at.smaller_than_training,
        f"are more than twice as large as {at.train_size}": at.twice_training,
        "are more than three times as long as wide": at.extreme_shape,
        "are animated": at.animated,
        "are without colour": at.gray,
        "are blank: brightness varies by less than 4 of 255 levels": at.blank,
        "vary little: entropy below 2 bits": at.low_entropy,
        "are the same file as an earlier one of the sample": found.repeats.same_bytes,
        "are near copies of an earlier one of the sample": found.repeats.near_copies,
    }
    lines = {name: (percent(share), f"{share.count:,} of {share.of:,}") for name, share in rows.items()}
    return table("Pictures that \u2026", lines)


def _shrink(found: Stats) -> Markup:
    """What packing would bring."""
    tried, trained = found.shrink, found.pictures.train_size
    if tried is None:
        said = f"No picture is large enough for `sightword data pack --resize` to help training at {trained}."
        return tag("p", with_code(said), class_="note")
    before, after = (1000 * seconds / tried.tried for seconds in (tried.seconds_before, tried.seconds_after))
    said = (
        f"`sightword data pack --resize {tried.resize} --only-large` would change "
        f"{percent(tried.would_change)} of the pictures. Tried on {tried.tried:,} of them: "
        f"{size(tried.bytes_before)} became {size(tried.bytes_after)}, and decoding one took {after:.2g} ms "
        f"instead of {before:.2g}. For the whole corpus that is about {size(tried.bytes_then)} instead of "
        f"{size(tried.bytes_now)}, and decoding {tried.decode_speedup:.1f} times as fast."
    )
    return tag("p", with_code(said), class_="note")


def _ratio(value: float) -> str:
    return f"{value:.3g}:1" if value >= 0.999 else f"1:{1 / value:.3g}"


def _part(value: float) -> str:
    """A power of two: 1/8, 2."""
    return f"{value:g}" if value >= 1 or not value else f"1/{1 / value:.3g}"
