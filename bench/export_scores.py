"""An exported model's zero-shot scores in CLIP_benchmark, beside the run's in `sightword evaluate`.

    PYTHONPATH=PEERS python bench/export_scores.py RUN --sets DIR --out docs/interop.jsonl
    PYTHONPATH=PEERS python bench/export_scores.py RUN --sets DIR --resize squash --oblong

The run is exported to open_clip, as it sees pictures or as `--interpolation` and `--resize` say;
CLIP_benchmark loads the folder as any open_clip model, reads each set in DIR (`bench/real_sets.py` makes
some) with the model's own preprocessing and tokenizer, and classifies. Beside both accuracies stands how many
predictions differ, and how many classes were predicted at all: a model that always says the same would agree
with anybody. PIL resizes a picture one direction after the other and rounds in between, which torch does in
the other order for some shapes, so that a pixel may be a step off; how many predictions differ when both are
given the same pixels is counted too: what is then left is arithmetic.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from _results import append, demand
from evaluate import ROWS, accuracy
from PIL import Image
from torch import Tensor
from torchvision_schemas import load_torchvision

from sightword.config import override
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import FeatureStore, batches
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.run import evaluate
from sightword.evaluation.zeroshot import ZeroShot
from sightword.export.exporting import export_model
from sightword.export.prepared import through
from sightword.export.targets import find
from sightword.training.model import Model, load_model, place_of_scores

SHAPES = ((1, 2 / 3), (3 / 5, 1), (1, 9 / 16), (4 / 5, 1), (1, 0.93))  # wide and high


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?")
    parser.add_argument("--sets", type=Path)
    parser.add_argument("--only", help="names of sets, joined by commas")
    parser.add_argument("--interpolation", choices=("bilinear", "bicubic"), help="instead of the run's own")
    parser.add_argument("--resize", choices=("shortest", "squash"), help="instead of the run's own")
    parser.add_argument("--oblong", action="store_true", help="cut every picture to another shape first")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    demand(parser, "RUN and --sets DIR (bench/real_sets.py makes some)", given.run, given.sets)
    model = seeing(load_model(given.run, "cpu"), given.interpolation, given.resize)
    folders = sorted(path.parent for path in given.sets.glob("*/test"))
    wanted = given.only.split(",") if given.only else [path.name for path in folders]
    with tempfile.TemporaryDirectory() as place:
        done = export_model(model, find("open_clip"), Path(place) / "open_clip", place_of_scores(given.run))
        print(*done.lines(), sep="\n")
        chosen = [path for path in folders if path.name in wanted]
        if given.oblong:
            chosen = [oblong(path, Path(place) / path.name) for path in chosen]
        rows = [compared(model, done.out, path) for path in chosen]
        tower = held_by(done.out)
    append(
        given.out,
        "export scores",
        rows,
        run=model.name,
        weights_hash=model.weights_hash,
        preprocessing=model.preparation.record(),
        image_tower=tower,
        oblong=given.oblong,
        loaded_by=done.by,
        export=[one.record() for one in done.agreement],
    )


def seeing(model: Model, interpolation: str | None, resize: str | None) -> Model:
    """The same weights, for pictures that are prepared in another way."""
    wanted = {"model.image.interpolation": interpolation, "model.image.resize": resize}
    config = override(model.config, {name: value for name, value in wanted.items() if value})
    return Model(model.name, config, model.encoders, model.tokenizer, model.weights_hash, device="cpu")


def oblong(folder: Path, out: Path) -> Path:
    """A copy of a set's test part whose pictures are not square: of each the middle, wide or high."""
    for path in [*folder.glob("*.txt"), *(folder / "test").iterdir()]:
        copied = out / path.relative_to(folder)
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".tar":
            cut_tar(path, copied)
        elif path.suffix == ".txt":
            copied.write_bytes(path.read_bytes())
    return out


def cut_tar(path: Path, copied: Path) -> None:
    """The same members, pictures cut."""
    with tarfile.open(path) as old, tarfile.open(copied, "w") as new:
        for number, member in enumerate(old):
            content = cast("IO[bytes]", old.extractfile(member)).read()
            if Path(member.name).suffix in (".webp", ".png", ".jpg"):
                content = cut(content, SHAPES[number % len(SHAPES)])
                member.name = str(Path(member.name).with_suffix(".png"))
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))


def cut(content: bytes, shape: tuple[float, float]) -> bytes:
    """The middle of a picture, as PNG; `shape` is the share that is kept of its width and of its height."""
    with Image.open(io.BytesIO(content)) as picture:
        width, height = (round(side * share) for side, share in zip(picture.size, shape, strict=True))
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        written = io.BytesIO()
        picture.convert("RGB").crop((left, top, left + width, top + height)).save(written, "PNG")
    return written.getvalue()


def held_by(folder: Path) -> str:
    """Whose image tower the exported configuration names."""
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["vision_cfg"]
    name = config.get("timm_model_name", "")
    if name.startswith("local-dir:"):
        return "timm from this folder"
    return f"timm: {name}" if name else "open_clip"


def compared(model: Model, exported: Path, folder: Path) -> dict[str, Any]:
    """Both sides on one set."""
    (test, *_) = open_benchmark(str(folder)).tests
    assert test.classes is not None
    truth = test.classes.of
    theirs, said = by_clip_benchmark(exported, folder)
    assert np.array_equal(said["target"], truth), "both read the same pictures in the same order"
    answer = ZeroShot().answer(FeatureStore(model, None), test, None)
    mine = np.array(answer.outcomes["predicted"])
    same = said["classify"](model, test)
    row = {
        "set": folder.name,
        "n": len(truth),
        "theirs": theirs,
        "ours": ours(model, folder),
        "classes_predicted": len(np.unique(mine)),
        "predictions_that_differ": int((mine != said["predicted"]).sum()),
        "predictions_that_differ_of_the_same_pixels": int((mine != same).sum()),
    }
    print(line(row), flush=True)
    return row


def ours(model: Model, folder: Path) -> dict[str, float]:
    """What `sightword evaluate` gives, into an empty folder."""
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stderr(io.StringIO()):
        scores = evaluate(model, Path(out), [str(folder)], ["zeroshot"], force=True)
    return {score.metric: score.value for score in scores}


def by_clip_benchmark(exported: Path, folder: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """CLIP_benchmark's metrics of the exported folder, its predictions, and those of our own pixels."""
    from clip_benchmark.datasets.builder import build_wds_dataset
    from clip_benchmark.metrics import zeroshot_classification as zeroshot
    from clip_benchmark.models import load_clip

    zeroshot.accuracy = accuracy  # theirs asks NumPy for what newer ones refuse
    net, prepare, words = load_clip(
        "open_clip", f"local-dir:{exported}", pretrained="", cache_dir="", device="cpu"
    )
    data = build_wds_dataset(folder.name, prepare, split="test", data_dir=str(folder))
    loader = torch.utils.data.DataLoader(data.batched(ROWS), batch_size=None, num_workers=0)
    net.eval()
    with quiet():
        found = zeroshot.evaluate(net, loader, words, data.classes, data.templates, "cpu", amp=False)
        classifier = zeroshot.zero_shot_classifier(net, words, data.classes, data.templates, "cpu", amp=False)
        logits, target = zeroshot.run_classification(net, classifier, loader, "cpu", amp=False)

    @torch.no_grad()
    def classify(model: Model, test: LabelledSet) -> np.ndarray:
        parts: list[Tensor] = []
        for _, pictures in batches(test, "the same pixels"):
            seen = net.encode_image(through(model.preparation(pictures), prepare), normalize=True)  # type: ignore[arg-type]
            parts.append((seen @ classifier).argmax(dim=1))
        return torch.cat(parts).numpy()

    metrics = {name: float(value) for name, value in found.items()}
    predicted = {"predicted": logits.argmax(dim=1).numpy(), "target": target.numpy()}
    return metrics, {**predicted, "classify": classify}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars of others."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def line(row: dict[str, Any]) -> str:
    """Both accuracies and what differs."""
    theirs, mine = (100 * row[side]["acc1"] for side in ("theirs", "ours"))
    apart, same = row["predictions_that_differ"], row["predictions_that_differ_of_the_same_pixels"]
    said = row["classes_predicted"]
    return (
        f"{row['set']:<16} n {row['n']:6,}  CLIP_benchmark {theirs:6.2f} %  sightword {mine:6.2f} %"
        f"  {apart} predictions differ, {same} of the same pixels; {said} classes predicted"
    )


if __name__ == "__main__":
    SCHEMAS = load_torchvision()
    main()
