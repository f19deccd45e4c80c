from __future__ import annotations

from collections import Counter

import pytest

from sightword.errors import SightwordError
from sightword.pairs.remote.patience import Patience, Transient, listed, persist

MIB = 1 << 20


class Network:
    """Fails as told, then answers; remembers every pause."""

    def __init__(self, *failures: Transient, gains: int = 0) -> None:
        self.failures, self.gains = list(failures), gains
        self.position, self.pauses = 0, list[float]()
        self.counted = Counter[str]()

    def __call__(self) -> str:
        self.position += self.gains
        if self.failures:
            raise self.failures.pop(0)
        return "answer"

    def asked(self, patience: Patience) -> str:
        return persist(self, "a://b", patience, self.counted, lambda: self.position, self.pauses.append)


def test_pauses_grow_to_a_limit_and_every_failure_is_counted() -> None:
    kinds = ["HTTP 503"] * 5 + ["timed out"] * 2
    network = Network(*map(Transient, kinds))
    assert network.asked(Patience(tries=8, pause=1.0, longest=8.0)) == "answer"
    full = [1, 2, 4, 8, 8, 8, 8]
    assert all(whole / 2 <= pause <= whole for pause, whole in zip(network.pauses, full, strict=True))
    assert network.counted == {"HTTP 503": 5, "timed out": 2}
    assert listed(network.counted) == "5 HTTP 503, 2 timed out"


def test_pauses_are_the_same_every_time_and_others_for_other_names() -> None:
    patience = Patience()
    pauses = {name: [patience.seconds(name, n) for n in range(1, 6)] for name in ("a", "b", "c")}
    assert pauses == {name: [patience.seconds(name, n) for n in range(1, 6)] for name in ("a", "b", "c")}
    assert len(set(map(tuple, pauses.values()))) == 3


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    network = Network(Transient("HTTP 429", wait=7.0), Transient("HTTP 429"))
    network.asked(Patience(pause=1.0))
    assert network.pauses[0] == 7.0
    assert network.pauses[1] < 7.0
    with pytest.raises(SightwordError, match=r"asks for a pause of 1,000 s"):
        Network(Transient("HTTP 429", wait=1000.0)).asked(Patience())


def test_too_many_failures_in_a_row_end_it() -> None:
    network = Network(*[Transient("ECONNRESET")] * 4)
    with pytest.raises(SightwordError, match=r"'a://b' cannot be read: 4 failures in a row \(4 ECONNRESET\)"):
        network.asked(Patience(tries=4))
    assert len(network.pauses) == 3


@pytest.mark.parametrize(("gains", "passes"), [(MIB, True), (MIB // 8, False)])
def test_failures_are_counted_anew_when_something_arrives(gains: int, passes: bool) -> None:
    network = Network(*[Transient("cut short")] * 20, gains=gains)
    if passes:
        assert network.asked(Patience(tries=3)) == "answer"
        assert network.counted == {"cut short": 20}
    else:
        with pytest.raises(SightwordError):
            network.asked(Patience(tries=3))


def test_what_is_not_transient_is_not_tried_again() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise SightwordError("no")

    with pytest.raises(SightwordError, match="no"):
        persist(work, "x", Patience(), Counter())
    assert calls == [1]
