"""How it was measured: protocols, numbers of examples, hashes, versions, commands, licences."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from sightword.report import phrases
from sightword.report.markup import Markup, join, tag
from sightword.report.records import Run, Score

_IDENTITY = ("code_version", "data_hash", "order_hash", "config_hash")


def method(runs: Sequence[Run], licences: Mapping[str, int]) -> Markup:
    """What a reader needs to check the page or to make it again."""
    parts = [
        tag("h3", "Make it again"),
        tag("pre", _commands(runs), tabindex=0),
        *(_run_details(run) for run in runs),
        *_protocols(runs),
        _licences(licences),
    ]
    return join(parts)


def _commands(runs: Sequence[Run]) -> str:
    """A run's config.toml is the whole of its configuration, so training starts from that file."""
    scored = {str(s.record["place"]): None for run in runs for s in run.scores if s.record.get("place")}
    tasks = {measure.task: None for run in runs for measure in run.final}
    again = [shlex.quote(f"{run.path}-again") for run in runs]
    lines = [
        "python - <<'END'",
        "import dataclasses, pathlib, sightword",
        "from sightword import config",
        f"for run in {[str(run.path) for run in runs]}:",
        "    again = dataclasses.replace(config.load(pathlib.Path(run)), out=f'{run}-again')",
        "    sightword.train(again)",
        "END",
    ]
    if scored:
        how = f"--on {shlex.quote(','.join(scored))} --tasks {','.join(tasks)}"
        lines += [f"sightword evaluate {run} {how}" for run in again]
    return "\n".join([*lines, f"sightword report {' '.join(again)}"])


def _run_details(run: Run) -> Markup:
    rows = {name.replace("_", " "): run.start[name] for name in _IDENTITY if name in run.start}
    if run.config:
        c = run.config
        rows |= {
            "data": f"{c.data.path}, split {c.data.split or 'all'}, captions {c.data.captions}",
            "model": f"{c.model.name}, {c.model.image.size} px",
            "optimiser": f"AdamW, learning rate {c.optimizer.lr:g}, weight decay {c.optimizer.wd:g}, "
            f"batch size {c.batch_size}, {c.precision}, seed {c.seed}",
        }
    hashes = {str(score.record.get("weights_hash")) for score in run.final.values()} - {"None"}
    if hashes:
        rows["weights scored"] = ", ".join(sorted(hashes))
    return tag("details", tag("summary", run.label), _definitions(rows))


def _protocols(runs: Sequence[Run]) -> list[Markup]:
    """One entry for each task on each split: its metrics share examples and protocol."""
    scores: dict[str, list[Score]] = {}
    for measure, score in {m: s for run in reversed(runs) for m, s in run.final.items()}.items():
        scores.setdefault(f"{phrases.task(measure.task)} on {phrases.place(measure)}", []).append(score)
    return [
        tag("details", tag("summary", phrases.capital(said)), _protocol(found))
        for said, found in scores.items()
    ]


def _protocol(found: Sequence[Score]) -> Markup:
    first = found[0].record
    rows = {
        "metrics": ", ".join(score.measure.metric for score in found),
        "examples": " or ".join(dict.fromkeys(phrases.count(score.n) for score in found)),
        "intervals": ", ".join(
            dict.fromkeys(str(s.record["interval"]) for s in found if "interval" in s.record)
        ),
        **_flat(first.get("protocol")),
        "data hash": first.get("data_hash", phrases.NONE),
    }
    return _definitions({name: value for name, value in rows.items() if value not in ("", None)})


def _flat(protocol: object) -> dict[str, object]:
    if isinstance(protocol, Mapping):
        return {str(name).replace("_", " "): _said(value) for name, value in protocol.items()}
    return {"protocol": protocol or phrases.NONE}


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(part) for part in value)
    return str(value)


def _definitions(rows: Mapping[str, object]) -> Markup:
    return tag("dl", *(join([tag("dt", name), tag("dd", str(value))]) for name, value in rows.items()))


def _licences(licences: Mapping[str, int]) -> Markup:
    if not licences:
        return Markup("")
    rows = {name: f"{phrases.count(number)} pictures" for name, number in licences.items()}
    return tag(
        "details", tag("summary", "Licences of the pictures on this page"), _definitions(rows), open=True
    )
