"""The model card, as model hubs read one: what it is, what it cost, how good, how to load it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightword.evaluation.scores import Score, read_scores
from sightword.export import beside, notices
from sightword.export.target import Target
from sightword.training.model import Model

FILE = "README.md"
UNKNOWN = "unknown: fill in"
_SHOWN = 60  # scores


@dataclass(frozen=True)
class Facts:
    """What a card tells beside the model itself.

    scores: the directory where `scores.jsonl` lies.
    place: where the export will lie.
    licence: of the weights; "" for unknown.
    checked: what was compared, a line each.
    noticed: whether there is a file of notices.
    """

    scores: Path
    place: Path
    licence: str
    checked: Sequence[str]
    noticed: bool


def write(folder: Path, model: Model, target: Target, facts: Facts) -> None:
    """Write `README.md`."""
    paragraphs = [
        _front(model, target, facts),
        f"# {model.name}",
        _summary(model),
        f"## Load it\n\n```python\n{target.use(facts.place)}\n```",
        target.describe(model),
        _training(model),
        _scores(model, facts.scores),
        _carried(model, folder, facts),
        "## Verified\n\n" + "\n".join(f"- {line}" for line in facts.checked),
        _limits(model),
    ]
    text = "\n\n".join(part for part in paragraphs if part)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _front(model: Model, target: Target, facts: Facts) -> str:
    """YAML, whose strings are written as JSON's: every one is valid."""
    task = "zero-shot-image-classification" if not target.alone(model) else None
    tags = ["sightword", "vision", *([] if target.alone(model) else ["clip"]), target.name]
    lines = [
        f"license: {json.dumps(facts.licence or UNKNOWN)}",
        f"library_name: {json.dumps(target.library)}",
        f"pipeline_tag: {json.dumps(task or 'image-feature-extraction')}",
        f"tags: {json.dumps(tags)}",
    ]
    return "\n".join(["---", *lines, "---"])


def _summary(model: Model) -> str:
    image, text = model.config.model.image, model.config.model.text
    lines = [
        f"Picture encoder `{model.config.model.name}`: {image.kind}, {image.size} px,"
        f" {_millions(model, 'image')} million parameters."
    ]
    if model.has_text:
        lines.append(
            f"Caption encoder: {text.layers} layers, {text.attention}, contexts of {text.context} tokens,"
            f" {_millions(model, 'text')} million parameters. Both give {model.config.model.embed} numbers."
        )
    else:
        lines.append("It encodes pictures alone.")
    return " ".join(lines)


def _millions(model: Model, tower: str) -> str:
    return f"{sum(p.numel() for p in model.encoders.towers[tower].parameters()) / 1e6:.1f}"


def _training(model: Model) -> str:
    if not model.samples:
        whose = f" ({model.family})" if model.family else ""
        return f"## Training\n\nNothing is known of it: these weights come from elsewhere{whose}."
    config = model.config
    rows = {
        "data": f"`{config.data.path}`, captions `{config.data.captions}`",
        "objective": f"`{config.objective}`",
        "budget": f"{model.samples:,} samples in {model.step:,} steps, {model.flops:.3g} FLOPs",
        "optimiser": f"AdamW, learning rate {config.optimizer.lr:g}, weight decay {config.optimizer.wd:g},"
        f" batches of {config.global_batch:,}, {config.precision}, seed {config.seed}",
        "weights": f"`{model.weights_hash}`",
    }
    if config.init_from:
        rows["started from"] = f"`{config.init_from}`"
    table = "\n".join(f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows.items())
    return f"## Training\n\n| | |\n|---|---|\n{table}"


def _scores(model: Model, run: Path) -> str:
    """The newest headline scores of these weights."""
    own = [s for s in read_scores(run) if s.headline and s.weights_hash == model.weights_hash]
    latest = list({(s.task, s.dataset, s.split): s for s in own}.values())
    if not latest:
        return "## Scores\n\nThese weights were not evaluated; `sightword evaluate` measures them."
    rows = "\n".join(_row(score) for score in latest[:_SHOWN])
    more = f"\n\n{len(latest) - _SHOWN} more are in the run." if len(latest) > _SHOWN else ""
    how = "\n".join(_how(latest))
    return (
        "## Scores\n\nEach with its 95 % interval, measured by sightword on pictures that were not learned"
        " from, unless the last column counts some that were.\n\n"
        "| set | task | metric | score | n | in the training data |\n|---|---|---|--:|--:|--:|\n"
        f"{rows}{more}\n\nHow, and the whole of it in the run's `scores.jsonl`:\n\n{how}"
    )


def _row(score: Score) -> str:
    ends = f"{100 * score.value:.1f} % [{100 * score.low:.1f}, {100 * score.high:.1f}]"
    copies = "not compared" if score.contaminated is None else f"{score.contaminated:,}"
    cells = f"{score.dataset}/{score.split}", score.task, score.metric, ends, f"{score.n:,}", copies
    return f"| {' | '.join(cells)} |"


def _how(scores: Sequence[Score]) -> Iterator[str]:
    """For each task what its protocols have in common."""
    for task in dict.fromkeys(score.task for score in scores):
        first, *others = [score.protocol for score in scores if score.task == task]
        same = {k: v for k, v in first.items() if all(k in one and one[k] == v for one in others)}
        plain = {k: v for k, v in same.items() if isinstance(v, str | int | float) and "hash" not in k}
        yield f"- {task}: {', '.join(f'{name} {value}'.replace('_', ' ') for name, value in plain.items())}"


def _carried(model: Model, folder: Path, facts: Facts) -> str:
    image = model.config.model.image
    mean, std = (" ".join(f"{x:g}" for x in values) for values in (image.mean, image.std))
    lines = [f"- pictures: {beside.facts(model.preparation)}; mean {mean}, deviation {std}"]
    if (folder / beside.TEMPLATES).is_file():
        lines.append(f"- prompts for zero-shot classification, by data set: `{beside.TEMPLATES}`")
    lines.append(f"- licence of the weights: {facts.licence or UNKNOWN}")
    if facts.noticed:
        lines.append(f"- whose work the data is: `{notices.FILE}`")
    return "## Beside the weights\n\n" + "\n".join(lines)


def _limits(model: Model) -> str:
    lines = ["It knows what its training data shows, with that data's biases; nothing was filtered here."]
    if model.has_text:
        lines.append(f"Captions are cut after {model.tokenizer.context} tokens.")
        lines.append("Zero-shot answers depend on how classes are worded.")
    lines.append("Scores speak of those sets and of no others: measure it on your own pictures.")
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in lines)
