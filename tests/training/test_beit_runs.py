"""Runs with beit: the tokenizer is trained first, kept in checkpoints, and survives kills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_runs import saved_model, shard, tiny
from torch import Tensor

from sightword.towers.visual_tokenizer import VqTokenizer
from sightword.training.loop import resume_training, train

WRITTEN = "beit(codebook=12, code_width=8, tokenizer_width=16, tokenizer_steps=3)"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return shard(tmp_path / "data.tar")


def checkpoints(out: Path) -> list[dict[str, Tensor]]:
    return [saved_model(folder) for folder in sorted(out.glob("checkpoints/step-*"))]


def of_tokenizer(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t for n, t in tensors.items() if n.startswith("objectives.beit.tokenizer.")}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_a_run_trains_its_tokenizer_first_and_another_can_use_it(tmp_path: Path, data: Path) -> None:
    train(tiny(tmp_path / "a", data, WRITTEN))
    before, after = checkpoints(tmp_path / "a")
    assert of_tokenizer(before)
    assert same(of_tokenizer(before), of_tokenizer(after))
    assert not same(before, after)
    assert float(after["objectives.beit.tokenizer.explained"]) != 0
    written = f'clip + {WRITTEN[:-1]}, weights="{tmp_path / "a"}")'
    train(tiny(tmp_path / "b", data, written, seed=5, chunk=3))
    assert same(of_tokenizer(checkpoints(tmp_path / "b")[-1]), of_tokenizer(after))


def test_a_run_killed_while_it_prepares_ends_the_same(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny(tmp_path / "whole", data, WRITTEN))

    def dies(batches: Iterator[Tensor]) -> Iterator[Tensor]:
        yield next(batches)
        raise KeyboardInterrupt

    whole = VqTokenizer.fit
    with monkeypatch.context() as patch:
        patch.setattr(VqTokenizer, "fit", lambda self, batches, steps: whole(self, dies(batches), steps))
        with pytest.raises(KeyboardInterrupt):
            train(tiny(tmp_path / "cut", data, WRITTEN))
    assert not checkpoints(tmp_path / "cut")
    resume_training(tmp_path / "cut")
    assert same(checkpoints(tmp_path / "cut")[-1], checkpoints(tmp_path / "whole")[-1])


def test_a_run_killed_after_it_prepared_keeps_its_tokenizer(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed runs do not prepare again, and do not need the place where the tokenizer came from."""
    train(tiny(tmp_path / "a", data, WRITTEN))
    written = f'{WRITTEN[:-1]}, weights="{tmp_path / "a"}")'
    train(tiny(tmp_path / "whole", data, written))
    with monkeypatch.context() as patch:
        patch.setattr("sightword.training.loop.Loop._train", lambda *_: "")
        train(tiny(tmp_path / "cut", data, written))
    assert len(checkpoints(tmp_path / "cut")) == 1
    (tmp_path / "a").rename(tmp_path / "gone")
    resume_training(tmp_path / "cut")
    assert same(checkpoints(tmp_path / "cut")[-1], checkpoints(tmp_path / "whole")[-1])
