"""What lives, for what, and the most there ever was: against sums by hand."""

from __future__ import annotations

import torch

from sightword.planning.ledger import COPIES, GATHERED, INPUTS, WEIGHTS, Ledger

KIB = 256  # float32 numbers of a kibibyte


def taken(ledger: Ledger, kib: int) -> torch.Tensor:
    tensor = torch.zeros(kib * KIB)
    ledger.see(tensor)
    return tensor


def test_the_peak_is_what_lived_at_once() -> None:
    ledger = Ledger()
    a, b = taken(ledger, 3), taken(ledger, 4)
    del a
    c = taken(ledger, 2)
    assert (ledger.total, ledger.peak) == (6 * 1024, 7 * 1024)
    del b, c
    assert (ledger.total, ledger.peak) == (0, 7 * 1024)
    ledger.restart()
    d = taken(ledger, 1)
    assert (ledger.total, ledger.peak) == (1024, 1024)
    del d


def test_views_share_their_storage_and_keep_it_alive() -> None:
    ledger = Ledger()
    whole = taken(ledger, 4)
    part = whole[:KIB].view(2, -1)
    ledger.see(part)
    assert ledger.total == 4 * 1024
    del whole
    assert ledger.total == 4 * 1024
    del part
    assert ledger.total == 0


def test_purposes_are_kept_apart_at_the_peak() -> None:
    ledger = Ledger()
    with ledger.purpose("outer"):
        a = taken(ledger, 1)
        with ledger.purpose("inner"):
            b = taken(ledger, 2)
        c = taken(ledger, 4)
    assert ledger.at_peak == {"outer": 5 * 1024, "inner": 2 * 1024}
    ledger.rename([b], "late")
    assert ledger.now() == {"outer": 5 * 1024, "late": 2 * 1024}
    assert ledger.at_peak == {"outer": 5 * 1024, "inner": 2 * 1024}, "what was, stays"
    del a, c


def test_sizes_are_whole_blocks() -> None:
    ledger = Ledger(block=512)
    a, b = torch.zeros(1), torch.zeros(129)
    ledger.see(a)
    ledger.see(b)
    assert ledger.total == 512 + 1024


def test_bytes_are_pictures_and_copies_of_weights_are_their_own() -> None:
    ledger = Ledger()
    weight = torch.zeros(KIB)
    ledger.rename([weight], WEIGHTS)
    copy, picture = weight.bfloat16(), torch.zeros(100, dtype=torch.uint8)
    ledger.see(copy, copied=weight)
    ledger.see(picture, copied=picture)
    assert ledger.now() == {WEIGHTS: 1024, COPIES: 512, INPUTS: 100}


def test_storages_that_are_emptied_and_filled_again_count_as_they_are() -> None:
    ledger = Ledger()
    resize = torch.UntypedStorage.resize_
    with ledger.following_sizes():
        tensor = taken(ledger, 4)
        tensor.untyped_storage().resize_(0)
        assert ledger.total == 0
        tensor.untyped_storage().resize_(2048)
        assert ledger.now() == {GATHERED: 2048}
        torch.zeros(8).untyped_storage().resize_(0)  # of a stranger
        assert ledger.total == 2048
    assert torch.UntypedStorage.resize_ is resize
