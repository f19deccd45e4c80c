from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models_to_export import model_of

from sightword.export import notices
from sightword.training.model import Model


def trained_on(path: str, model: Model) -> Model:
    model.config = replace(model.config, data=replace(model.config.data, path=path))
    return model


def test_the_demos_samples_say_who_drew_them(tmp_path: Path) -> None:
    assert notices.write(trained_on("demo", model_of()), tmp_path)
    text = (tmp_path / notices.FILE).read_text()
    assert "| twitter | CC-BY-4.0 | 1,685 |" in text
    assert "OpenAI" not in text


def test_what_lies_beside_the_data_travels_along(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "NOTICE.md").write_text("drawn by hand\n")
    (tmp_path / "two" / "LICENSE").write_text("do as you like")
    (tmp_path / "two" / "pairs.tar").write_bytes(b"")
    out = tmp_path / "out"
    out.mkdir()
    path = f"{tmp_path / 'one'}::{tmp_path / 'two' / 'pairs.tar'}::https://host/x.tar"
    assert notices.write(trained_on(path, model_of()), out)
    text = (out / notices.FILE).read_text()
    assert "Beside the data `one` lies NOTICE.md:\n\ndrawn by hand" in text
    assert "Beside the data `pairs.tar` lies LICENSE:\n\ndo as you like" in text


def test_nothing_is_written_where_nothing_is_known(tmp_path: Path) -> None:
    assert not notices.write(trained_on(str(tmp_path / "gone.csv"), model_of()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_clips_tokenizer_is_openais(tmp_path: Path) -> None:
    assert notices.write(trained_on(str(tmp_path / "gone.csv"), model_of(words="clip")), tmp_path)
    assert "Copyright (c) 2021 OpenAI" in (tmp_path / notices.FILE).read_text()
