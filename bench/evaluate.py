"""`sightword evaluate` against CLIP_benchmark: the same weights on the same files, numbers and seconds.

    PYTHONPATH=PEERS python bench/evaluate.py RUN --sets DIR --out bench/results/evaluate.jsonl

DIR holds folders as CLIP_benchmark exports them (`bench/real_sets.py` makes some). Those with a train part
are asked zero-shot and linear, those of captions retrieval. Both sides take turns, set by set, and begin with
the files each time. CLIP_benchmark's own functions read the tars, encode, classify and train its probe with
its default settings (10 epochs of AdamW at 0.1 on normalised features of the joint space, no sweep); its
probe asks for CUDA, so `.cuda()` does nothing here where there is none. Ours sweeps its strength.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; for both sides
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peers"))

import numpy as np
import torch
from _results import append, demand
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision_schemas import load_torchvision

from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.heldout import held_out
from sightword.evaluation.linear import swept
from sightword.evaluation.logistic import Logistic
from sightword.evaluation.run import evaluate
from sightword.training.model import Model, load_model

ROWS, WORKERS, RATE, EPOCHS = 64, 4, 0.1, 10  # CLIP_benchmark's defaults
RECALLS = [1, 5, 10]
EXCHANGED = ("theirs_on_ours", "ours_on_theirs")
OURS = {"linear": "lp_"}  # what CLIP_benchmark puts before a metric's name


class Peer(nn.Module):
    """Our model as CLIP_benchmark calls one: pictures and tokens in, features in the joint space out."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def encode_image(self, images: Tensor) -> Tensor:
        return self.model.encode_image(images, project=True)

    def encode_text(self, words: Tensor) -> Tensor:
        pooled = self.model.encoders.towers["text"](words).pooled
        joint = self.model.encoders.joint
        assert joint is not None
        return joint.embed_text(pooled)


class _Cpu(str):
    """Says that it is `cuda` when it is asked; tensors go to the CPU."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "cuda" or str.__eq__(self, other)

    __hash__ = str.__hash__


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?")
    parser.add_argument("--sets", type=Path)
    parser.add_argument("--only", help="names of sets, joined by commas")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    demand(parser, "RUN and --sets DIR (bench/real_sets.py makes some)", given.run, given.sets)
    model = load_model(given.run)
    folders = sorted(path.parent for path in given.sets.glob("*/test"))
    wanted = given.only.split(",") if given.only else [path.name for path in folders]
    rows = []
    for folder in (path for path in folders if path.name in wanted):
        rows.append(compared(model, folder, given.rounds))
        print(line(rows[-1]), flush=True)
    print(summary(rows))
    append(
        given.out, "evaluation", rows, run=model.name, weights_hash=model.weights_hash, rounds=given.rounds
    )


def compared(model: Model, folder: Path, rounds: int) -> dict[str, Any]:
    """Both sides on one set: seconds, and every metric that both give."""
    tasks = tasks_of(folder)
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    found: dict[str, dict[str, float]] = {}
    sides: dict[str, Callable[[], dict[str, float]]] = {
        "theirs": lambda: theirs(model, folder, tasks), "ours": lambda: ours(model, folder, tasks),
    }  # fmt: skip
    for number in range(rounds):
        for side in (list(sides), list(sides)[::-1])[number % 2]:
            begun = time.perf_counter()
            found[side] = sides[side]()
            seconds[side].append(time.perf_counter() - begun)
    shared = [name for name in found["ours"] if name in found["theirs"]]
    swapped = exchanged(model, folder) if "linear" in tasks else {}
    return {
        "set": folder.name,
        "tasks": tasks,
        **{f"seconds_{side}": statistics.median(taken) for side, taken in seconds.items()},
        "metrics": {name: [found["theirs"][name], found["ours"][name]] for name in shared},
        **swapped,
    }


def tasks_of(folder: Path) -> list[str]:
    """What a set can be asked."""
    kind = folder / "dataset_type.txt"
    if kind.is_file() and kind.read_text().strip() == "retrieval":
        return ["retrieval"]
    return ["zeroshot", "linear"] if (folder / "train").is_dir() else ["zeroshot"]


def ours(model: Model, folder: Path, tasks: list[str]) -> dict[str, float]:
    """From the files, into an empty folder."""
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stderr(io.StringIO()):
        scores = evaluate(model, Path(out), [str(folder)], tasks, force=True)
    return {f"{OURS.get(score.task, '')}{score.metric}": score.value for score in scores}


def theirs(model: Model, folder: Path, tasks: list[str]) -> dict[str, float]:
    """The same by CLIP_benchmark's functions."""
    from clip_benchmark.metrics import linear_probe, zeroshot_classification, zeroshot_retrieval

    linear_probe.accuracy = zeroshot_classification.accuracy = accuracy
    found: dict[str, float] = {}
    peer, silent = Peer(model).eval(), io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        for task in tasks:
            data = dataset(model, folder, "test")
            if task == "zeroshot":
                found |= zeroshot_classification.evaluate(
                    peer, loader(data), model.tokenizer, data.classes, data.templates, "cpu", amp=False
                )
            elif task == "retrieval":
                found |= zeroshot_retrieval.evaluate(
                    peer,
                    loader(data),
                    lambda texts: model.tokenizer(list(texts)),
                    "cpu",
                    amp=False,
                    recall_k_list=RECALLS,
                )
            else:
                with tempfile.TemporaryDirectory() as features, on_cpu():
                    found |= linear_probe.evaluate(
                        peer, loader(dataset(model, folder, "train")), loader(data), -1, ROWS, WORKERS, RATE,
                        EPOCHS, "model", 0, features, device=_Cpu("cpu"), amp=False,
                    )  # fmt: skip
    return {name: float(value) for name, value in found.items() if isinstance(value, float)}


def accuracy(output: Tensor, target: Tensor, topk: tuple[int, ...] = (1,)) -> list[float]:
    """CLIP_benchmark's function of this name; NumPy from 2.4 on refuses its float of an array."""
    hits = output.topk(max(topk), 1, True, True)[1] == target[:, None]
    return [float(hits[:, :k].any(dim=1).float().mean()) for k in topk]


def exchanged(model: Model, folder: Path) -> dict[str, float]:
    """What explains probes that differ: each side's accuracy on the features that the other side uses.

    CLIP_benchmark's are normalised and in the joint space, ours the tower's own, standardised.
    """
    from clip_benchmark.metrics import linear_probe

    benchmark, store = open_benchmark(str(folder)), FeatureStore(model, None)
    train, (test, *_) = benchmark.train, benchmark.tests
    assert train is not None
    assert train.classes is not None
    assert test.classes is not None
    parts: dict[str, list[np.ndarray]] = {}
    for kind in ("pooled", "projected"):
        parts[kind] = [store.of(part, kind).values[kind] for part in (train, test)]
    known, asked = parts["pooled"]
    mean, spread = known.mean(axis=0), known.std(axis=0)
    rows = [torch.from_numpy((part - mean) / np.where(spread == 0, 1, spread)) for part in (known, asked)]
    labels, truth = torch.from_numpy(train.classes.of), torch.from_numpy(test.classes.of)
    batches = torch.utils.data.DataLoader(TensorDataset(rows[0], labels), batch_size=ROWS, shuffle=True)
    classes, sizes = len(train.classes.names), rows[0].shape[1]
    with on_cpu(), contextlib.redirect_stdout(io.StringIO()):
        trained = linear_probe.train(batches, sizes, classes, 0, RATE, EPOCHS, False, _Cpu("cpu"), 0)
    with torch.no_grad():
        theirs_on_ours = float((trained(rows[1]).argmax(dim=1) == truth).float().mean())
    known, asked = parts["projected"]
    held = held_out(train, np.arange(len(known)))
    chosen = swept(known, train.classes.of, held, classes)
    said = Logistic(known, train.classes.of).fit(chosen["c"]).scores(asked, classes).argmax(dim=1)
    return {"theirs_on_ours": theirs_on_ours, "ours_on_theirs": float((said == truth).float().mean())}


def dataset(model: Model, folder: Path, split: str) -> Any:
    """CLIP_benchmark's reader with torchvision's transform; normalising is a part of our towers."""
    from clip_benchmark.datasets.builder import build_wds_dataset
    from torchvision import transforms

    size = model.image_size
    steps = [
        transforms.Lambda(lambda image: image.convert("RGB")),
        transforms.Resize(size),
        transforms.CenterCrop(size),
        transforms.PILToTensor(),
    ]
    return build_wds_dataset(folder.name, transforms.Compose(steps), split=split, data_dir=str(folder))


def loader(data: Any) -> Any:
    """As its command line makes it."""
    return torch.utils.data.DataLoader(
        data.batched(ROWS), batch_size=None, shuffle=False, num_workers=WORKERS
    )


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Without a GPU, `.cuda()` leaves everything where it is."""
    if torch.cuda.is_available():
        yield
        return
    with (
        mock.patch.object(nn.Module, "cuda", lambda self, *_: self),
        mock.patch.object(Tensor, "cuda", lambda self, *_, **__: self),
        mock.patch.object(torch, "autocast", return_value=contextlib.nullcontext()),
    ):
        yield


def line(row: dict[str, Any]) -> str:
    """Seconds of both, and the largest difference of a metric in points."""
    theirs, ours = row["seconds_theirs"], row["seconds_ours"]
    told = ", ".join(f"{name} {100 * a:.2f} {100 * (b - a):+.2f}" for name, (a, b) in row["metrics"].items())
    told += "".join(f", {name} {100 * row[name]:.2f}" for name in EXCHANGED if name in row)
    return f"{row['set']:<16} {theirs:7.1f} s {ours:7.1f} s {theirs / ours:5.1f}x  {told}"


def summary(rows: list[dict[str, Any]]) -> str:
    """All sets together."""
    theirs, ours = (sum(row[f"seconds_{side}"] for row in rows) for side in ("theirs", "ours"))
    return f"{len(rows)} sets: {theirs:.0f} s and {ours:.0f} s, {theirs / ours:.1f}x"


if __name__ == "__main__":
    SCHEMAS = load_torchvision()
    main()
