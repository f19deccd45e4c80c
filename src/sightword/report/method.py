"""Floor 7. How it was measured: protocols, numbers of examples, hashes, versions, commands, licences."""

from __future__ import annotations

import json
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
        tag("pre", "\n".join(_commands(runs)), tabindex=0),
        *(_run_details(run) for run in runs),
        *_protocols(runs),
        _licences(licences),
    ]
    return join(parts)


def _commands(runs: Sequence[Run]) -> list[str]:
    """A run's config.toml is the whole of its configuration, so the command names that file."""
    trained = [
        f"sightword train --config {shlex.quote(str(run.path / 'config.toml'))} --out {shlex.quote(run.name + '-again')}"
        for run in runs
        if run.config
    ]
    return [*trained, f"sightword report {' '.join(shlex.quote(str(run.path)) for run in runs)}"]


def _run_details(run: Run) -> Markup:
    rows = {name.replace("_", " "): run.start[name] for name in _IDENTITY if name in run.start}
    if run.config:
        c = run.config
        rows |= {
            "data": f"{c.data.path}{f', split {c.data.split}' if c.data.split else ''}, captions {c.data.captions}",
            "model": f"{c.model.name}, {c.model.image.size} px",
            "optimiser": f"AdamW, learning rate {c.optimizer.lr:g}, weight decay {c.optimizer.wd:g}, "
            f"batch size {c.batch_size}, {c.precision}, seed {c.seed}",
        }
    hashes = {str(score.record.get("weights_hash")) for score in run.final.values()} - {"None"}
    if hashes:
        rows["weights scored"] = ", ".join(sorted(hashes))
    return tag("details", tag("summary", f"Run {run.label}"), _definitions(rows))


def _protocols(runs: Sequence[Run]) -> list[Markup]:
    scores: dict[str, Score] = {}
    for run in runs:
        for measure, score in run.final.items():
            said = f"{phrases.metric(measure)} on {phrases.place(measure)}"
            scores.setdefault(said, score)
    return [
        tag(
            "details",
            tag("summary", f"Score {said}"),
            _definitions(
                {
                    "examples": phrases.count(score.n),
                    **_flat(score.record.get("protocol")),
                    "data hash": score.record.get("data_hash", phrases.NONE),
                }
            ),
        )
        for said, score in scores.items()
    ]


def _flat(protocol: object) -> dict[str, object]:
    if isinstance(protocol, Mapping):
        return {str(name).replace("_", " "): _said(value) for name, value in protocol.items()}
    return {"protocol": protocol or phrases.NONE}


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _definitions(rows: Mapping[str, object]) -> Markup:
    return tag("dl", *(join([tag("dt", name), tag("dd", str(value))]) for name, value in rows.items()))


def _licences(licences: Mapping[str, int]) -> Markup:
    if not licences:
        return Markup("")
    rows = {name: f"{phrases.count(number)} pictures" for name, number in licences.items()}
    return tag(
        "details", tag("summary", "Licences of the pictures on this page"), _definitions(rows), open=True
    )
