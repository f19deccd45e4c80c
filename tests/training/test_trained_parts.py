"""A run on a part of the data sees that part, nothing that is held out, and resumes bit for bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_shard import picture, small_shard, write_tar
from tiny_runs import MAE, SIMCLR, assert_same_tensors, newest_files, shard, stop_at, tiny

from sightword.config import Config, load, override
from sightword.errors import SightwordError
from sightword.pairs.part import Part
from sightword.pairs.parts import held_out
from sightword.training.data import all_pairs, own_pairs
from sightword.training.loop import resume_training, train
from sightword.training.records import read_records
from sightword.training.session import Session, begin


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


def parted(config: Config, out: int, samples: int, **changes: object) -> Config:
    return replace(config, data=replace(config.data, held_out=out, samples=samples, **changes))


def seen(session: Session, steps: int) -> list[str]:
    """The keys of all that these steps read."""
    batches = session.steps(None)
    return [key for step in range(steps) for key in batches[step].keys]


def kept_out(config: Config) -> set[str]:
    whole = all_pairs(config)
    return {whole.keys[i] for i in held_out(whole, config.data.held_out)}


def test_every_trained_sample_is_of_the_part(tmp_path: Path, data: Path) -> None:
    config = parted(tiny(tmp_path / "run", data), 8, 16)
    trained = seen(begin(config), 6)
    for epoch in range(3):  # of two batches of 8
        assert sorted(trained[16 * epoch : 16 * epoch + 16]) == sorted(own_pairs(config).keys)
    assert trained[:16] != trained[16:32]
    assert not set(trained) & kept_out(config)
    larger = own_pairs(parted(config, 8, 24))
    assert set(trained) < set(larger.keys)
    assert set(own_pairs(replace(config, seed=1)).keys) != set(trained)


def test_every_objective_has_the_same_part(tmp_path: Path) -> None:
    """Pictures without captions would number the pairs otherwise for objectives that read none."""
    files = {}
    for i in range(40):
        files[f"{i:02}.png"] = picture(i)[0]
        files |= {f"{i:02}.txt": b"a square"} if i % 4 else {}
    data = write_tar(tmp_path / "a.tar", files)
    keys = set()
    for number, objective in enumerate(("clip", MAE, SIMCLR, f"clip + {MAE}")):
        session = begin(parted(tiny(tmp_path / str(number), data, objective), 6, 16))
        keys.add(tuple(seen(session, 2)))
    assert len(keys) == 1
    assert len(all_pairs(tiny(tmp_path, data, MAE))) == 40  # without a part, they count


def test_a_resumed_run_is_the_whole_one(tmp_path: Path, data: Path) -> None:
    config = parted(tiny(tmp_path / "whole", data, f"clip + {SIMCLR}", zeroshot_frequency=1), 8, 20)
    whole = train(config, say=quiet)
    out = train(replace(config, out=str(tmp_path / "parts")), stop_at(3), quiet)
    resume_training(out, say=quiet)
    assert_same_tensors(out / "model.safetensors", whole / "model.safetensors")
    assert newest_files(out) == newest_files(whole)
    start = read_records(whole / "metrics.jsonl")[0]
    assert start["pairs"] == 20
    assert start["data_hash"] == own_pairs(config).data_hash != all_pairs(config).data_hash
    said: list[str] = []
    train(replace(config, out=str(tmp_path / "third"), steps=1), say=said.append)
    assert "20 of 40 pairs are trained on; 8 are held out" in said
    assert load(out).data.held_out == 8


def test_another_part_is_other_data(tmp_path: Path, data: Path) -> None:
    config = parted(tiny(tmp_path / "run", data, zeroshot_frequency=1), 8, 20)
    out = train(config, stop_at(2), quiet)
    text = (out / "config.toml").read_text()
    (out / "config.toml").write_text(text.replace("held_out = 8", "held_out = 9"))
    with pytest.raises(SightwordError, match="the data has changed since"):
        resume_training(out, say=quiet)


@pytest.mark.parametrize("name", ["demo", "csv", "glob", "mixed", "parquet"])
def test_parts_of_every_source(tmp_path: Path, name: str) -> None:
    for number in range(3):
        shard(tmp_path / f"{number}.tar", 20)
    (tmp_path / "images").mkdir()
    for i in range(30):
        (tmp_path / "images" / f"{i}.png").write_bytes(picture(i)[0])
    rows = [f"images/{i % 15}.png,square {i}" for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["filepath,title", *rows]))
    table = pa.table(
        {"image": [picture(i)[0] for i in range(30)], "title": [f"square {i}" for i in range(30)]}
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    path = {
        "demo": "demo",
        "csv": f"{tmp_path}/a.csv",
        "glob": f"{tmp_path}/{{0..2}}.tar",
        "mixed": f"{tmp_path}/0.tar::{tmp_path}/a.csv",
        "parquet": f"{tmp_path}/a.parquet",
    }[name]
    config = tiny(tmp_path / "run", Path(path), steps=2, batch_size=4)
    changes = {"data.path": path, "data.samples": "18", "data.held_out": "6"}
    changes |= {"data.image_key": "image"} if name == "parquet" else {}
    changes |= {"data.upsampling": "1,2"} if name == "mixed" else {}
    config = override(config, changes)
    whole, part = all_pairs(config), own_pairs(config)
    assert isinstance(part, Part)
    held = held_out(whole, 6)
    assert (len(part), len(held)) == (18, 6)
    batches = begin(replace(config, out=str(tmp_path / "again"))).steps(None)
    ids = np.concatenate([part.numbers_in_whole(batches[step].ids.numpy()) for step in range(8)])
    assert not set(ids.tolist()) & set(held.tolist())
    if name != "demo":
        assert read_records(train(config, say=quiet) / "metrics.jsonl")[0]["pairs"] == 18
    if name in ("csv", "mixed"):
        shown = [json.dumps(whole[int(i)].image.hex()) for i in held]
        assert not set(shown) & {
            json.dumps(part[i].image.hex()) for i in range(18) if "square 1" in part.text(i).caption
        }


def test_sight_sees_nothing_that_is_held_out(tmp_path: Path, data: Path) -> None:
    """SLIP's decoupled variant on the same place, on a copy of it, and on more than it."""
    objective = f"clip + {SIMCLR}"
    config = parted(tiny(tmp_path / "run", data, objective), 8, 16, sight=str(data))
    copy = tmp_path / "copy.tar"
    copy.write_bytes(data.read_bytes())
    for number, place in enumerate((data, copy)):
        settings = replace(config.data, sight=str(place))
        session = begin(replace(config, out=str(tmp_path / str(number)), data=settings))
        batch = session.steps(None)[0]
        assert batch.sight is not None
        assert session.sight is not None
        assert set(session.sight.keys) == set(session.pairs.keys) == set(own_pairs(config).keys)
        assert batch.sight.keys != batch.keys
    other = small_shard(tmp_path / "other.tar", 30)
    with pytest.raises(SightwordError, match=r"of which data\.held_out keeps some away from training"):
        begin(replace(config, data=replace(config.data, sight=f"{other}::{data}")))
    session = begin(replace(config, data=replace(config.data, sight=str(other))))
    assert session.sight is not None
    assert len(session.sight) == 30


def test_more_than_there_are_is_one_line(tmp_path: Path, data: Path) -> None:
    config = parted(tiny(tmp_path / "run", data), 8, 33)
    with pytest.raises(SightwordError, match="there are 32 beside the 8 that are held out"):
        train(config, say=quiet)
    assert not (tmp_path / "run").exists()
