"""Numbers and measures in the words and digits that a reader sees."""

from __future__ import annotations

from sightword.report.records import Measure

THIN = "\u202f"  # narrow no-break space
MINUS = "\u2212"
TIMES = "\u00d7"
NONE = "\u2013"  # an en dash: no such number
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_METRICS = {
    "acc1": "top-1",
    "acc5": "top-5",
    "mean_per_class_recall": "mean per class",
    "roc_auc": "ROC AUC",
}
_TASKS = {"zeroshot": "zero-shot", "knn": "nearest neighbours", "linear": "linear probe"}


def percent(fraction: float) -> str:
    """0.4512 is "45.1 %"."""
    return f"{100 * fraction:.1f}{THIN}%"


def points(difference: float) -> str:
    """A difference of fractions in percentage points, always signed: 0.019 is "+1.9"."""
    rounded = round(100 * difference, 1)
    return f"{'+' if rounded > 0 else MINUS if rounded < 0 else ''}{abs(rounded):.1f}"


def interval(low: float, high: float) -> str:
    """An interval of two fractions, in percent."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def points_interval(low: float, high: float) -> str:
    """An interval of a difference, in percentage points: "0.4 to 3.4", "−0.8 to 1.2"."""
    return f"{points(low).lstrip('+')} to {points(high).lstrip('+')}"


def count(number: int | float) -> str:
    """157440 is "157,440"."""
    return f"{round(number):,}"


def short_count(number: int | float) -> str:
    """For axes: 1.5 k, 2 M, 3 G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.4g}{THIN}{letter}"
    return f"{number:.4g}"


def power(number: int | float, digits: int = 2) -> str:
    """3.1e15 is "3.1 × 10¹⁵"."""
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return f"{mantissa} {TIMES} 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def ratio(numerator: int | float, denominator: int | float) -> str:
    """How many times: "2.7×"; empty when there is nothing to divide by."""
    return f"{numerator / denominator:.1f}{TIMES}" if denominator else ""


def task(name: str) -> str:
    """A task in words."""
    return _TASKS.get(name, name.replace("_", " "))


def metric(measure: Measure) -> str:
    """A metric in words: "zero-shot, top-1", "image retrieval, recall@5"."""
    if "_retrieval_recall@" in measure.metric:
        return measure.metric.replace("_retrieval_recall@", " retrieval, recall@")
    return f"{task(measure.task)}, {_METRICS.get(measure.metric, measure.metric.replace('_', ' '))}"


def place(measure: Measure) -> str:
    """The pictures it was measured on: "demo, test artist"."""
    return f"{measure.dataset}, {measure.split}".replace("_", " ") if measure.split else measure.dataset


def capital(sentence: str) -> str:
    """With a capital first letter."""
    return sentence[:1].upper() + sentence[1:]


def listed(items: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
