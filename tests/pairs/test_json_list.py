from __future__ import annotations

import json

import pytest

from sightword.pairs.layouts.json_list import json_list


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_a_json_list_in_pieces(tmp_path, monkeypatch, piece):
    monkeypatch.setattr("sightword.pairs.layouts.json_list._PIECE", piece)
    entries = [{"a": "x, ]}[", "b": [1, {"c": None}]}, {}, {"\u00e9": '\U0001f600\\"'}]
    for indent in (None, 1):
        file = tmp_path / "a.json"
        file.write_text(json.dumps(entries, indent=indent, ensure_ascii=indent is None), encoding="utf-8")
        assert list(json_list(file)) == entries
