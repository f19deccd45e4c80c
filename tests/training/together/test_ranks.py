"""What processes tell each other: answers, errors, signals. Two real ones, and one alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
import torch.distributed as dist

from sightword.errors import SharedError, SightwordError
from sightword.training.together import ranks
from sightword.training.together.parallel import own_device
from sightword.training.together.ranks import News


def fail(said: str) -> Any:
    raise SightwordError(said)


def met(work: Callable[[], Any]) -> list[str]:
    """What comes of it: an answer, or whose error."""
    try:
        return ["answer", repr(work())]
    except SharedError as error:
        return ["shared", str(error)]
    except SightwordError as error:
        return ["own", str(error)]


def everything(rank: int) -> dict[str, list[str]]:
    own = f"rank {rank}"
    second = SightwordError("no picture") if rank == 1 else None
    signal = "SIGTERM" if rank == 1 else ""
    return {
        "gathered": met(lambda: ranks.gathered(own)),
        "first": met(lambda: ranks.first(lambda: own)),
        "first fails": met(lambda: ranks.first(lambda: fail("full disk"))),
        "all well": met(lambda: ranks.all_well(lambda: own)),
        "one is not": met(lambda: ranks.all_well(lambda: own if rank == 0 else fail("no file"))),
        "none is": met(lambda: ranks.all_well(lambda: fail("no data"))),
        "one is not on its host": met(lambda: ranks.hosts_first(lambda: own if rank == 0 else fail("gone"))),
        "the first on its host fails": met(lambda: ranks.hosts_first(lambda: fail("no such tar"))),
        "nothing new": met(lambda: ranks.shared(News())),
        "signal": met(lambda: ranks.shared(News(asked=signal, due=rank == 0))),
        "bad": met(lambda: ranks.shared(News(bad=((f"{rank}.jpg", "torn"),) if rank == 1 else ()))),
        "error": met(lambda: ranks.shared(News(asked=signal, error=second))),
        "leads": [str(ranks.leads())],
    }


def worker(rank: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": "0" if rank == 0 else "1"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    # The other process of a host comes after the first.
    came = Path(folder) / "came"
    seen = ranks.hosts_first(lambda: came.write_text("") if rank == 0 else came.exists())
    found = everything(rank) | {"second came later": [str(seen)]}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_two_processes_do_the_same_next(tmp_path: Path) -> None:
    processes.start(worker, (str(tmp_path),), 2)
    zero, one = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert (zero.pop("leads"), one.pop("leads")) == (["True"], ["False"])
    assert (zero.pop("second came later"), one.pop("second came later")) == (["0"], ["True"])
    assert (zero.pop("all well"), one.pop("all well")) == (["answer", "'rank 0'"], ["answer", "'rank 1'"])
    assert zero == one
    assert one == {
        "gathered": ["answer", "['rank 0', 'rank 1']"],
        "first": ["answer", "'rank 0'"],
        "first fails": ["shared", "full disk"],
        "one is not": ["shared", "process 1 of 2: no file"],
        "none is": ["shared", "no data"],
        "one is not on its host": ["shared", "process 1 of 2: gone"],
        "the first on its host fails": ["shared", "no such tar"],
        "nothing new": ["answer", repr(News())],
        "signal": ["answer", repr(News("SIGTERM", True))],
        "bad": ["answer", repr(News(bad=(("1.jpg", "torn"),)))],
        "error": ["shared", "process 1 of 2: no picture"],
    }


def test_alone_nothing_is_asked_of_anybody() -> None:
    assert ranks.gathered(3) == [3]
    assert ranks.first(lambda: 4) == ranks.all_well(lambda: 4) == ranks.hosts_first(lambda: 4) == 4
    news = News("SIGINT", True, (("a", "b"),))
    assert ranks.shared(news) == news
    own = SightwordError("mine")
    with pytest.raises(SightwordError) as raised:
        ranks.shared(News(error=own))
    assert raised.value is own
    assert own_device("auto") == "auto"


def test_only_the_first_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the processes have met and after they have parted, torchrun's word counts."""
    assert ranks.leads()
    monkeypatch.setenv("RANK", "3")
    assert not ranks.leads()


def test_a_directory_is_waited_for_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks.patience() == 0
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    assert ranks.patience() > 0
