"""How to read the page, how it was computed, and whose ideas it stands on."""

from __future__ import annotations

from sightword.report.markup import Markup, join, tag

_READING = {
    "Yes / No, it is worse": "the 95 % interval of the gain leaves out zero and p stays under 5 % after"
    " Holm's correction for everything that was asked of the tasks' main numbers.",
    "Undetermined": "the runs do not tell. It does not mean that there is no difference: look at how wide the"
    " interval is, and run more seeds or sizes if it is too wide to decide.",
    "Equal samples / equal FLOPs": "the same number of pairs seen, or the same arithmetic spent. A dearer"
    " objective can pay at the one and not at the other; which one matters depends on whether your pairs or"
    " your compute run out first.",
    "Filled and hollow marks": "a filled mark is a gain that is shown, a hollow one is not. Small faint dots"
    " are single seeds.",
    "Band": "where the gain, or the error, lies at a size by 95 %. Dotted lines on shaded ground lie beyond"
    " the sizes that were run; further than one decade nothing is drawn, because nothing is known.",
    "Crossover": "the size at which the gain changes its sign; the bar on the axis is its 95 % interval."
    " There is no bar where no single crossover is shown.",
}
_METHOD = (
    "Arms are compared seed by seed on the same test examples. An interval holds both kinds of luck: of seeds"
    " (which pairs, order, weights, views) and of which test examples there are. It is Student's t with"
    " Satterthwaite's degrees of freedom; a size's own variance over seeds is drawn towards that of the other"
    " sizes. With one seed the luck of training is unknown, and nothing is ever called shown.",
    "The curve of the gain is a smooth curve over the logarithm of size with no fixed form, averaged over how"
    " steep, how straight and how noisy it may be. The curves of error are saturating power laws with Huber's"
    " loss; their bands come from a bootstrap of seeds and test examples together.",
    "The number that decides is fixed before any result: the mean over data sets of the first of zero-shot,"
    " retrieval, linear probe and nearest neighbours that was scored; with pairs of your own alone,"
    " retrieval on the held-out ones.",
)
_PAPERS = (
    "Mu, Kirillov, Wagner, Xie 2022: SLIP: Self-supervision meets Language-Image Pre-training,"
    " arXiv:2112.12750",
    "Weers, Shankar, Katharopoulos, Yang, Gunter 2023: Masked Autoencoding Does Not Help Natural Language"
    " Supervision at Scale, arXiv:2301.07836",
    "Holm 1979: A simple sequentially rejective multiple test procedure",
    "Satterthwaite 1946: An approximate distribution of estimates of variance components",
    "Smyth 2004: Linear models and empirical Bayes methods (the variance over seeds)",
    "Rasmussen, Williams 2006: Gaussian Processes for Machine Learning (the curve of the gain)",
    "Fieller 1954: Some problems in interval estimation (the interval of a crossover)",
    "Huber 1964: Robust estimation of a location parameter (the laws of error)",
    "Okabe, Ito 2008: Color Universal Design (hues; here spread in lightness, too)",
)


def reading() -> Markup:
    """What each kind of mark says."""
    rows = (join([tag("dt", name), tag("dd", said)]) for name, said in _READING.items())
    return tag("dl", *rows, class_="reading")


def method() -> Markup:
    """How the numbers came about, the files that hold them, and the papers."""
    files = "gains, points, laws, curves and crossovers as CSV, findings.jsonl, and each figure in figures/."
    parts = [tag("p", text) for text in (*_METHOD, f"Beside this page lie all its numbers: {files}")]
    papers = tag("ul", *(tag("li", paper) for paper in _PAPERS), class_="listing")
    return join([*parts, tag("h3", "Papers"), papers])
