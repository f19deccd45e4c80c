from __future__ import annotations

from sightword.corpora.building.notices import write_notices
from sightword.pairs.sample import Sample


def sample(key, **fields):
    return Sample(
        key, ("x",), {"title": "Set", "creator": "Ann", "license": "MIT", "source": "p@1", **fields}
    )


def test_every_set_maker_and_licence_has_its_line(tmp_path):
    odd = {"title": "Odd | [Set]", "creator_url": "https://example.org", "license_url": "javascript:alert(1)"}
    samples = [
        sample("a"),
        sample("b"),
        sample("c", license="CC0-1.0", words="w@2 (MIT)"),
        sample("d", **odd),
    ]
    write_notices(tmp_path / "LICENSES.md", "icons", samples)
    lines = (tmp_path / "LICENSES.md").read_text().splitlines()
    assert lines[0] == "# Artwork in the corpus `icons`"
    assert lines[-3:] == [
        "| Odd \\| (Set) | [Ann](https://example.org) | MIT | p@1 | the same | 1 |",
        "| Set | Ann | CC0-1.0 | p@1 | w@2 (MIT) | 1 |",
        "| Set | Ann | MIT | p@1 | the same | 2 |",
    ]
