from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.pairs.remote import receiving
from sightword.pairs.remote.file import INDEXED, Remote, Store
from sightword.pairs.remote.patience import Patience, Transient
from sightword.pairs.remote.receiving import receive
from sightword.pairs.remote.transfers import Journal, Transfers

CONTENT = b"0123456789" * 100


class Wire(Store):
    """Sends what it is told to, then breaks."""

    def __init__(self, *answers: list[bytes]) -> None:
        super().__init__(1.0)
        self.answers, self.starts = list(answers), list[int]()

    def look(self, address: str) -> Remote:
        raise NotImplementedError

    def find(self, pattern: str) -> list[Remote]:
        raise NotImplementedError

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        yield from self.answers.pop(0)


@pytest.fixture
def through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def through(wire: Wire, tag: str = '"tag"', had: bytes = b"") -> tuple[bytes, Counter[str]]:
        monkeypatch.setattr(receiving, "store_of", lambda address, timeout: wire)
        part, failures, counted = tmp_path / "part", Counter[str](), []
        part.write_bytes(had)
        remote = Remote("a://b", len(CONTENT), tag)
        patience = Patience(tries=3, pause=0.0, timeout=0.01)
        receive(remote, part, patience, failures, counted.append, lambda seconds: None)
        assert sum(counted) >= len(CONTENT) - len(had)
        return part.read_bytes(), failures

    return through


def test_it_goes_on_where_it_broke(through) -> None:
    wire = Wire([CONTENT[:10], CONTENT[10:300]], [], [CONTENT[300:]])
    content, failures = through(wire)
    assert content == CONTENT
    assert wire.starts == [0, 300, 300]
    assert failures == {"cut short": 2}


@pytest.mark.parametrize(("tag", "start"), [('"tag"', 100), ("", 0), (f"{INDEXED}0123", 0)])
def test_what_was_there_counts_only_with_a_tag(through, tag: str, start: int) -> None:
    wire = Wire([CONTENT[start:]])
    assert through(wire, tag, CONTENT[:100])[0] == CONTENT
    assert wire.starts == [start]


def test_too_much_is_as_wrong_as_too_little(through) -> None:
    content, failures = through(Wire([CONTENT + b"more"], [CONTENT]))
    assert content == CONTENT
    assert failures == {"longer than announced": 1}


def test_drop_by_drop_is_standing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 1.0)
    monkeypatch.setattr(receiving.time, "monotonic", lambda: next(clock))
    drops = receiving._moving(itertools.repeat(b"x" * 100), 2.0)
    with pytest.raises(Transient, match="stands still"):
        list(itertools.islice(drops, 100))
    stream = receiving._moving(itertools.repeat(b"x" * 2000), 2.0)
    assert len(list(itertools.islice(stream, 100))) == 100


def test_it_gives_up_when_nothing_comes(through) -> None:
    with pytest.raises(SightwordError, match=r"3 failures in a row \(3 cut short\)"):
        through(Wire([], [], []))


def test_a_journal_begins_anew_before_it_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightword.pairs.remote.transfers._MOST", 500)
    journal = Journal(tmp_path / "transfers.jsonl", "me")
    for number in range(5):
        journal.note(f"a://{number}", number != 2, 100, 0.5, {"HTTP 503": number})
        Journal(journal.file, "you").note("a://x", True, 1, 1.0, {})
    (tmp_path / "transfers.jsonl").open("ab").write(b'{"reader": "me", torn')
    total = journal.total()
    assert len(list(tmp_path.iterdir())) == 2
    assert 0 < total.shards < 5
    assert 100 * total.shards <= total.bytes < 500


def test_transfers_add_up_and_speak() -> None:
    total = Transfers(2, 3_000_000_000, 20.0, {"HTTP 503": 2}) + Transfers(
        1, 0, 10.0, {"HTTP 503": 1, "x": 1}
    )
    assert total == Transfers(3, 3_000_000_000, 30.0, {"HTTP 503": 3, "x": 1})
    said = "3 shards fetched, 3.00 GB at 100 MB/s each, 4 failures tried again (3 HTTP 503, 1 x)"
    assert str(total) == said
    assert str(Transfers(1, 0, 0.0)) == "1 shards fetched, 0.00 GB at 0 MB/s each, no failure"


def test_a_journal_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Journal(tmp_path / "file" / "transfers.jsonl", "me").note("a://b", True, 1, 1.0, {})
