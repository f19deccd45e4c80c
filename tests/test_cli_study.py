"""Flags of `sightword study`: which study they make, who carries it out, what they may not leave unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_shard import small_shard

from sightword.cli import commands, study
from sightword.errors import SightwordError
from sightword.study.keeping import keep
from sightword.study.launching.local import Local
from sightword.study.launching.ray import Ray
from sightword.study.launching.slurm import Slurm


def flags(*words: str):
    return commands.parse(["study", *words])


def test_unasked_it_is_four_sizes_three_seeds_and_a_part_held_out(tmp_path: Path) -> None:
    made = study.design(flags("--data", str(small_shard(tmp_path / "a.tar", 96))))
    assert (made.held_out, made.sizes, made.seeds) == (12, (10, 21, 42, 84), (0, 1, 2))
    assert made.base.batch_size == 2
    assert (made.budgets, made.on) == (("samples", "flops"), ())
    demo = study.design(flags("--data", "demo"))
    assert (demo.held_out, demo.sizes[-1], demo.on) == (0, 6752, ("demo",))


@pytest.mark.parametrize(
    ("words", "gpu", "model"),
    [
        ((), False, "resnet-tiny"),
        ((), True, "vit-tiny"),
        (("--launcher", "slurm"), False, "vit-tiny"),
        (("--models", "vit-s16"), False, "vit-s16"),
    ],
)
def test_the_model_unasked_suits_the_machine_and_is_told(
    words: tuple[str, ...], gpu: bool, model: str, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    assert study._models(flags("--data", "demo", *words)) == (model,)
    assert (f"model: {model}" in capsys.readouterr().err) == ("--models" not in words)


def test_without_data_it_goes_on_as_it_is_or_is_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    made = study.design(flags("--data", str(small_shard(tmp_path / "a.tar", 96)), "--seeds", "2"))
    keep(made, Path(out))
    assert study.design(flags("--out", out, "--yes")) == made
    for given in (("--seeds", "5"), ("--sizes", "10"), ("--lr", "1e-3"), ("--held-out", "3")):
        with pytest.raises(SightwordError, match=rf"{given[0]} is given without --data"):
            study.design(flags("--out", out, *given))


def test_who_carries_it_out() -> None:
    local = study._launcher(flags("--slots", "3"))
    assert isinstance(local, Local)
    assert local.slots == 3
    own = ("--cluster", "hours=12", "--cluster", "gpus=2", "--cluster", "partition=big")
    slurm = study._launcher(flags("--launcher", "slurm", "--out", "there", *own))
    assert slurm == Slurm(Path("there"), hours=12.0, gpus=2, more={"partition": "big"})
    ray = study._launcher(flags("--launcher", "ray", "--cluster", "gpus=0.5", "--cluster", "address=head:1"))
    assert ray == Ray(address="head:1", gpus=0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cluster", "gpus=2"), "--cluster is for --launcher slurm or ray"),
        (("--launcher", "ray", "--cluster", "partition=big"), "unknown setting of --cluster 'partition'"),
        (("--launcher", "slurm", "--cluster", "hours=long"), "must be float, found 'long'"),
    ],
)
def test_wrong_words_about_the_cluster(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(SightwordError, match=said):
        study._launcher(flags(*words))
