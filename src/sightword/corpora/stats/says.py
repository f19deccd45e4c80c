"""What the numbers say, in sentences: what matters most before a run is paid for."""

from __future__ import annotations

from collections.abc import Iterator

from sightword.config import DataConfig
from sightword.corpora.stats.record import About, CaptionStats, PictureStats, Repeats, Share, Shrink
from sightword.report.phrases import THIN, listed

_WORTH_SAYING = 0.005  # shares below this are only in the tables
_OFF = 0.1  # of a channel's mean, levels from 0 to 1
_WORTH_PACKING = 0.9  # of the bytes left
_WORTH_WARNING = 0.001  # of a batch


def says(
    about: About, pictures: PictureStats, shrink: Shrink | None, repeats: Repeats, captions: CaptionStats
) -> tuple[str, ...]:
    """Sentences, the most general first."""
    return (
        *_extent(about, pictures, captions),
        *_pictures(pictures, shrink),
        *_repeats(repeats, pictures, about),
        *_captions(captions),
        *_batches(captions),
    )


def percent(share: Share | int | float) -> str:
    """One digit behind the point only where it matters; never 0 or 100 for what is not all or nothing."""
    value = 100 * (share.share if isinstance(share, Share) else share)
    if 0 < value < 0.05:
        return f"<0.1{THIN}%"
    if 99.5 <= value < 100:
        return f"{min(value, 99.9):.1f}{THIN}%"
    return f"{value:.0f}{THIN}%" if value >= 10 or value == 0 else f"{value:.1f}{THIN}%"


def size(count: int | float) -> str:
    """Bytes as people say them."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g}{THIN}{name}"
    return f"{count:.0f} bytes"


def _extent(about: About, pictures: PictureStats, captions: CaptionStats) -> Iterator[str]:
    basis = "all of them were looked at"
    if pictures.sample < about.pairs or captions.pairs < about.pairs:
        basis = (
            f"looked at, drawn at random: {pictures.sample:,} pictures and the captions of "
            f"{captions.pairs:,} pairs"
        )
    roughly = "" if pictures.sample == about.pairs else "about "
    yield f"{about.pairs:,} pairs, {roughly}{size(pictures.bytes_total)} of pictures; {basis}."
    if about.left_out:
        reasons = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in about.left_out.items()]
        yield f"Left out before anything is counted: {listed(reasons)}."


def _pictures(pictures: PictureStats, shrink: Shrink | None) -> Iterator[str]:
    bad, needed = pictures.unreadable, pictures.train_size
    if bad.count:
        most = DataConfig().max_bad
        what = "leaves them out and lists them" if bad.share <= most else f"stops above {percent(most)}"
        yield (
            f"{percent(bad)} of the pictures cannot be read ({bad.count:,} of {bad.of:,}); a run {what} "
            "(`--max-bad`)."
        )
    if pictures.smaller_than_training.share > _WORTH_SAYING:
        yield (
            f"{percent(pictures.smaller_than_training)} of the pictures are smaller than training at "
            f"{needed} needs (half of all have a shorter side below {pictures.shorter_side.median + 1:.0f}): "
            "they are enlarged, which costs compute and adds no detail."
        )
    if pictures.twice_training.share > _WORTH_SAYING:
        yield (
            f"{percent(pictures.twice_training)} of the pictures are stored more than twice as large as "
            f"training at {needed} needs."
        )
    if shrink is not None and shrink.bytes_then < _WORTH_PACKING * shrink.bytes_now:
        yield (
            f"`sightword data pack --resize {shrink.resize} --only-large` would save about "
            f"{size(shrink.bytes_now - shrink.bytes_then)} of {size(shrink.bytes_now)} and make decoding "
            f"{shrink.decode_speedup:.1f} times as fast (tried on {shrink.tried:,} pictures)."
        )
    special = {
        "are blank (nearly one brightness all over)": pictures.blank,
        "are without colour": pictures.gray,
        "are more than three times as long as wide": pictures.extreme_shape,
        "are animated (only the first frame is used)": pictures.animated,
    }
    found = [f"{percent(share)} {what}" for what, share in special.items() if share.share > _WORTH_SAYING]
    if found:
        yield f"Of the pictures {listed(found)}."
    yield from _normalisation(pictures)


def _normalisation(pictures: PictureStats) -> Iterator[str]:
    """Models subtract ImageNet's means; a corpus far from them is told."""
    gaps = [a - b for a, b in zip(pictures.channel_mean, pictures.model_mean, strict=True)]
    most = max(gaps, key=abs)
    if pictures.readable and abs(most) > _OFF:
        yield (
            f"The pictures are {'brighter' if most > 0 else 'darker'} than what models subtract, by up to "
            f"{abs(most):.2f} of 1 in a channel: harmless when training from the beginning, worth knowing "
            "when starting from an encoder of photographs."
        )


def _repeats(repeats: Repeats, pictures: PictureStats, about: About) -> Iterator[str]:
    again = repeats.same_bytes.count + repeats.near_copies.count
    if again:
        more = "" if pictures.sample == about.pairs else " in the sample, more in the whole"
        yield (
            f"{percent(again / repeats.same_bytes.of)} of the pictures come again{more}: "
            f"{repeats.same_bytes.count:,} as the same file, {repeats.near_copies.count:,} as near copies; "
            "`sightword data check` lists them."
        )


def _captions(captions: CaptionStats) -> Iterator[str]:
    if not captions.captions:
        yield "No pair has a caption: only objectives that read none can be trained."
        return
    yield (
        f"Half of the captions have at most {captions.words.median:.0f} "
        f"word{'' if captions.words.median == 1 else 's'} ({captions.tokens.median:.0f} of CLIP's tokens, "
        "start and end included)."
    )
    if captions.over_context.count:
        yield (
            f"{percent(captions.over_context)} of the captions are longer than the {captions.context} tokens "
            "that CLIP reads: their end is cut off."
        )
    if captions.without.count:
        yield f"{percent(captions.without)} of the pairs have no caption."
    odd = [f"{percent(s)} have {name}" for name, s in captions.noise.items() if s.share > _WORTH_SAYING]
    if odd:
        yield f"Of the captions {listed(odd)}: as descriptions they teach little."
    main, count = next(iter(captions.scripts.items()))
    if 1 - count / captions.captions > _WORTH_SAYING:
        other = percent(1 - count / captions.captions)
        yield f"{other} of the captions are not mainly in {main} letters."


def _batches(captions: CaptionStats) -> Iterator[str]:
    if captions.repeated.count:
        yield f"{percent(captions.repeated)} of the captions occur more than once."
    possible = [batch for batch in captions.batches if batch.batch <= captions.pairs]
    batch = (possible or captions.batches)[-1 if possible else 0]
    if batch.share > _WORTH_WARNING:
        yield (
            f"In a batch of {batch.batch:,}, about {batch.pairs:,.0f} pairs ({percent(batch.share)}) share "
            "their caption with another pair of it; a contrastive loss takes these matches for mismatches "
            "and pushes them apart."
        )
