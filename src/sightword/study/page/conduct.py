"""How the study was run: what was held fixed, what each arm costs, what failed, warned or overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sightword.report import phrases
from sightword.report.markup import Markup, join, tag
from sightword.study.findings import ArmCost, Findings, RunState
from sightword.study.page.looks import arm_name, budget, pairs
from sightword.study.page.tables import table

_COSTS = (
    "arm",
    "FLOPs of a pair",
    "of the first's",
    "learning rate",
    "rates tried",
    "scores on validation pairs",
)


def conduct(findings: Findings) -> Markup:
    """The whole part."""
    return join(
        [_fixed(findings), *_costs(findings), _counts(findings), _warned(findings), _overlaps(findings)]
    )


def missing(findings: Findings) -> str:
    """A sentence on the runs that are not in the results; empty when all are."""
    planned, finished = findings.conduct.runs, findings.conduct.in_state("finished")
    if len(planned) == len(finished):
        return ""
    failed = len(findings.conduct.in_state("failed"))
    return (
        f"{len(finished)} of {len(planned)} planned runs are in these results: {failed} failed and"
        f" {len(planned) - len(finished) - failed} are missing. They are listed under “How it was run”."
    )


def _fixed(findings: Findings) -> Markup:
    study = findings.study
    parts = phrases.listed([phrases.count(size) for size in study.sizes])
    rows = {
        "objectives": "; ".join(arm.label for arm in study.arms),
        "pairs learned from": f"{parts}; a smaller part lies within every larger one of its seed",
        "seeds": f"{phrases.listed([str(seed) for seed in study.seeds])}: of the choice of pairs, of their"
        " order, of weights and of views",
        "alike in all arms of a seed": "the pairs, their order, the initial weights of what arms share, and"
        " the views that they share",
        "checked": _checked(findings.conduct.runs),
        "how long": f"{study.epochs:g} passes of {study.baseline.name} over its part; at equal samples"
        " every arm takes as many steps, at equal FLOPs as many as the same arithmetic pays for",
        "learning rates": _rates(findings),
        "held out": f"{pairs(study.held_out)} that no run learned from" if study.held_out else "",
    }
    return _definitions(rows.items())


def _checked(runs: Sequence[RunState]) -> str:
    """Whether the runs' own records agree that arms saw the same pairs in the same order."""
    groups: dict[tuple[str, int, int], set[tuple[str, str]]] = {}
    for run in runs:
        if run.state == "finished" and run.data_hash:
            cell = run.cell
            groups.setdefault((cell.model, cell.size, cell.seed), set()).add((run.data_hash, run.order_hash))
    if not groups:
        return ""
    same = sum(len(found) == 1 for found in groups.values())
    return (
        f"by the hashes that the runs recorded, all arms had the same pairs in the same order in {same} of"
        f" {len(groups)} parts"
    )


def _rates(findings: Findings) -> str:
    tried = {len(cost.trials) for cost in findings.conduct.costs}
    if not findings.study.lrs:
        return "as given, not chosen: an arm may have a better one"
    count = (
        phrases.listed([str(number) for number in sorted(tried)]) if tried else str(len(findings.study.lrs))
    )
    return f"the best of {count} for each arm, chosen on validation pairs in runs of their own"


def _costs(findings: Findings) -> list[Markup]:
    found = []
    for model in findings.study.models:
        costs = [cost for cost in findings.conduct.costs if cost.model == model]
        if costs:
            base = next((c.sample_flops for c in costs if c.objective == findings.study.baseline.name), 0.0)
            shown = table(_COSTS, [_cost(cost, base, findings) for cost in costs], f"costs of {model}")
            found += [tag("h3", f"What an arm costs, {model}"), shown]
    return found


def _cost(cost: ArmCost, base: float, findings: Findings) -> Markup:
    labels = [arm.name for arm in findings.study.arms]
    tried = ", ".join(f"{lr:g}" for lr, _ in cost.trials) or phrases.NONE
    scores = ", ".join(phrases.percent(score) if score == score else "failed" for _, score in cost.trials)
    cells = (
        phrases.power(cost.sample_flops),
        phrases.ratio(cost.sample_flops, base) or phrases.NONE,
        f"{cost.lr:g}",
        tried,
        scores or phrases.NONE,
    )
    name = tag("th", arm_name(cost.objective, labels.index(cost.objective)), scope="row")
    return tag("tr", name, *(tag("td", cell) for cell in cells))


def _counts(findings: Findings) -> Markup:
    runs = findings.conduct.runs
    if not runs:
        return Markup("")
    left = [*findings.conduct.in_state("failed"), *findings.conduct.in_state("missing")]
    finished = len(findings.conduct.in_state("finished"))
    said = f"{finished} of {len(runs)} planned runs finished."
    listed = _listing(
        f"{phrases.capital(run.state)}: {_cell(run)}: {run.why or 'no reason known'}" for run in left
    )
    return join([tag("h3", "Runs"), tag("p", said), listed])


def _warned(findings: Findings) -> Markup:
    told = [(run, one) for run in findings.conduct.runs for one in run.warnings]
    if not told:
        return Markup("")
    lead = "Told while runs trained. A run that went wrong says little about its objective."
    listed = _listing(f"{_cell(run)}: {one}" for run, one in told)
    return tag("div", tag("h3", "Warnings"), tag("p", lead), listed, class_="warned")


def _overlaps(findings: Findings) -> Markup:
    found = findings.conduct.overlaps
    if not found:
        return Markup("")
    lead = "Test pictures with a near copy among the pairs that were learned from, alike for every arm."
    listed = _listing(
        f"{one.dataset}: {phrases.count(one.found)} of {phrases.count(one.examined)}" for one in found
    )
    return join([tag("h3", "Contamination"), tag("p", lead, class_="note"), listed])


def _cell(run: RunState) -> str:
    cell = run.cell
    return f"{cell.arm.name}, {cell.model}, {pairs(cell.size)}, seed {cell.seed}, {budget(cell.budget)}"


def _listing(items: Iterable[str]) -> Markup:
    shown = [tag("li", item) for item in items]
    return tag("ul", *shown, class_="listing") if shown else Markup("")


def _definitions(rows: Iterable[tuple[str, str]]) -> Markup:
    return tag("dl", *(join([tag("dt", name), tag("dd", said)]) for name, said in rows if said))
