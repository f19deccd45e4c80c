from __future__ import annotations

from sightword.pairs.lists import bar as list_bar


def test_long_listings_are_told(capsys, monkeypatch):
    monkeypatch.setattr(list_bar, "BETWEEN", 0.0)
    assert list(list_bar.counted(range(2500), 4000, "x.csv")) == list(range(2500))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" rows")[0] for line in lines] == ["listing x.csv: 1,000", "listing x.csv: 2,000"]
    assert "eta" in lines[0]
    list(list_bar.counted(range(1500), 0, "x.csv"))
    assert "eta" not in capsys.readouterr().err


def test_short_ones_and_other_ranks_are_silent(capsys, monkeypatch):
    assert list(list_bar.counted("abc", 3, "x")) == ["a", "b", "c"]
    monkeypatch.setattr(list_bar, "BETWEEN", 0.0)
    monkeypatch.setenv("RANK", "1")
    list(list_bar.counted(range(2500), 0, "x"))
    assert capsys.readouterr().err == ""
