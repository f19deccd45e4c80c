"""Per-example outcomes, one Parquet file for each task and split: for pages and comparisons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.ranking import Found, Ranked
from sightword.pairs.files import write_whole


@dataclass(frozen=True)
class About:
    """What a file of outcomes was made from."""

    dataset: str
    split: str
    task: str
    protocol_hash: str
    weights_hash: str
    data_hash: str

    def path(self, run: Path) -> Path:
        """Where the outcomes lie in a run's directory: those of the latest weights and protocol."""
        return run / "outcomes" / f"{self.dataset}-{self.split}-{self.task}.parquet"


@dataclass(frozen=True, eq=False)
class Outcomes:
    """A table, one row for each example or query, and what it was made from.

    Classification: key, cluster (null: none), label, predicted, correct, rank (of the true class, from 1),
    top5 (class ids), probabilities; of two classes also score (the second's less the first's, before any
    softmax). `names` says what class ids mean.
    Retrieval: direction (what is retrieved, text or image), key (the query: a picture's key or a caption),
    cluster, correct, rank (of the best hit), targets, top5 and similarities.
    Segmentation: key, picture_miou, and for each class the pixels of intersection, union and true.
    Anything else: key, cluster, and for each metric that is a mean over examples a column of its name.
    `metric` is the one that stands for the answer (`Score.headline`), `metrics` are all that were made of
    it; empty in files that do not say.
    """

    about: About
    names: tuple[str, ...]
    table: pa.Table
    metric: str = ""
    metrics: tuple[str, ...] = ()

    def write(self, run: Path) -> None:
        """Write to the run's directory, whole or not at all."""
        facts = {name: str(value) for name, value in vars(self.about).items()}
        facts |= {"names": json.dumps(self.names), "metric": self.metric}
        facts["metrics"] = json.dumps(self.metrics)
        table = self.table.replace_schema_metadata(facts)
        write_whole(self.about.path(run), lambda file: pq.write_table(table, file, compression="zstd"))


def read_outcomes(path: Path) -> Outcomes:
    """The outcomes in a file.

    Raises:
        SightwordError: when it is not one.
    """
    try:
        table = pq.read_table(path)
        facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        about = About(**{name: facts[name] for name in About.__dataclass_fields__})
        names, metrics = (tuple(json.loads(facts.get(name, "[]"))) for name in ("names", "metrics"))
        return Outcomes(about, names, table, facts.get("metric", ""), metrics)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise SightwordError(f"'{path}' holds no outcomes ({error}); evaluate the run again") from error


def classification_table(
    keys: Sequence[str], labels: Int64[np.ndarray, " n"], ranked: Ranked, clusters: Sequence[str]
) -> pa.Table:
    """Rows of a classification."""
    score = {} if ranked.score is None else {"score": ranked.score}
    return pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "cluster": pa.array(clusters, pa.string()) if clusters else pa.nulls(len(keys), pa.string()),
            "label": labels,
            "predicted": ranked.top[:, 0],
            "correct": ranked.rank == 1,
            "rank": ranked.rank,
            "top5": pa.array(list(ranked.top), pa.list_(pa.int64())),
            "probabilities": pa.array(list(ranked.probability), pa.list_(pa.float32())),
            **score,
        }
    )


def retrieval_table(
    direction: str,
    queries: Sequence[str],
    answers: Sequence[str],
    hits: Bool[Tensor, "q m"],
    found: Found,
    clusters: Sequence[str],
) -> pa.Table:
    """Rows of one direction of retrieval."""
    targets = [[answers[int(j)] for j in row.nonzero()[:, 0]] for row in hits]
    return pa.table(
        {
            "direction": pa.array([direction] * len(queries), pa.string()),
            "key": pa.array(queries, pa.string()),
            "cluster": pa.array(clusters, pa.string()),
            "correct": found.rank == 1,
            "rank": found.rank,
            "targets": pa.array(targets, pa.list_(pa.string())),
            "top5": pa.array([[answers[j] for j in row] for row in found.top], pa.list_(pa.string())),
            "similarities": pa.array(list(found.cosine), pa.list_(pa.float32())),
        }
    )
