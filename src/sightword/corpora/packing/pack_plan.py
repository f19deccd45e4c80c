"""What decides the bytes of a packing, written down first: it can go on, and never mixes with another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
import simplejpeg
from jaxtyping import Int64

import sightword
from sightword.corpora.packing.encoding import Encoding
from sightword.corpora.packing.keys import key_hashes, later_twins
from sightword.corpora.packing.shard_job import Packing
from sightword.corpora.parallel import Tick, Watch, in_processes
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.files import write_whole
from sightword.pairs.reading import Reading
from sightword.pairs.tars.writer import PER_SHARD

PLAN = "plan.json"
_TWINS = ".twins.npy"
_KEYS_AT_ONCE = 10_000
_NO_MATTER = ("processes", "max_bad")


@dataclass(frozen=True)
class PackOptions:
    """How to pack.

    Args:
        split: only samples whose json says so.
        per_shard: samples of a shard; shard i holds the samples from i * per_shard on.
        shuffle: seed of a random distribution of all samples over the shards; None: the order of the source.
        keys: `keep` makes keys safe and unique where they are not (`original_key` in the json says what they
            were); `number` gives img2dataset's running numbers, which needs no look at all keys first.
        encoding: what becomes of pictures; by default nothing.
        verify: decode also the pictures that are left alone.
        max_bad: share of unreadable samples above which packing stops.
        processes: how many work at once; 0: one for each processor. Never changes what is written.
    """

    split: str = ""
    per_shard: int = PER_SHARD
    shuffle: int | None = None
    keys: Literal["keep", "number"] = "keep"
    encoding: Encoding = field(default_factory=Encoding)
    verify: bool = False
    max_bad: float = 0.01
    processes: int = 0

    def __post_init__(self) -> None:
        if self.per_shard < 1:
            raise SightwordError(f"--per-shard must be at least 1, found {self.per_shard}")
        if not 0 <= self.max_bad <= 1:
            raise SightwordError(f"--max-bad is a share from 0 to 1, found {self.max_bad:g}")


def begin(pairs: Pairs, out: Path, options: PackOptions, reading: Reading) -> Packing:
    """Claim the folder for this packing, or find that it is ours, and say how each shard is to be made.

    Raises:
        SightwordError: the folder holds something else, or cannot be written.
    """
    plan = _plan(pairs, options, reading)
    _claim(out, plan)
    return Packing(
        pairs=pairs,
        out=out,
        per_shard=options.per_shard,
        shuffle=options.shuffle,
        keys=options.keys,
        encoding=options.encoding,
        verify=options.verify,
        reading=reading,
        plan=hashlib.blake2b(json.dumps(plan, sort_keys=True).encode(), digest_size=16).hexdigest(),
        twins=_twins(pairs, out, options),
    )


def _plan(pairs: Pairs, options: PackOptions, reading: Reading) -> dict[str, Any]:
    """All that decides the bytes. Encoders give other bytes in other versions."""
    kept = {name: value for name, value in dataclasses.asdict(options).items() if name not in _NO_MATTER}
    coders = {"pillow": PIL.__version__, "simplejpeg": simplejpeg.__version__}
    return {
        "data_hash": pairs.data_hash,
        "samples": len(pairs),
        **kept,
        "captionless": reading.captionless,
        "sightword": sightword.__version__,
        **(coders if options.encoding.touches else {}),
    }


def _claim(out: Path, plan: Mapping[str, Any]) -> None:
    """Make the folder ours, or find that it is."""
    file = out / PLAN
    if file.exists():
        try:
            theirs = json.loads(file.read_bytes())
        except ValueError:
            theirs = {}
        if theirs != dict(plan):
            other = sorted(name for name in plan if theirs.get(name) != plan[name]) or sorted(
                theirs.keys() - plan
            )
            raise SightwordError(
                f"'{out}' holds a packing made otherwise ({', '.join(other)} differ, see '{file}'); "
                "give another --out, or delete that folder"
            )
        return
    if out.exists() and not out.is_dir():
        raise SightwordError(f"'{out}' is a file; give a folder as --out")
    if out.is_dir() and any(out.glob("*.tar")):
        raise SightwordError(f"'{out}' holds tars that were not packed here; give an empty folder as --out")
    try:
        write_whole(file, lambda stream: stream.write(json.dumps(plan, indent=1).encode()))
    except OSError as error:
        raise SightwordError(f"cannot write to '{out}' ({error.strerror}); give another --out") from error


def _twins(pairs: Pairs, out: Path, options: PackOptions) -> Int64[np.ndarray, " t"]:
    """Places of samples whose safe key came before; found once and kept for when the packing goes on."""
    if options.keys == "number":
        return np.zeros(0, dtype=np.int64)
    file = out / _TWINS
    try:
        stored: Int64[np.ndarray, " t"] = np.load(file, allow_pickle=False)
        return stored
    except (OSError, ValueError, EOFError):
        pass
    starts = range(0, len(pairs), _KEYS_AT_ONCE)
    watch = Watch("keys", len(pairs))
    hashes = np.zeros(len(pairs), dtype=np.uint64)
    count = options.processes if len(starts) > 1 else 1
    for start, found in in_processes(_hash_some, pairs, starts, count, watch):
        hashes[start : start + len(found)] = found
    twins = later_twins(hashes)
    write_whole(file, lambda stream: np.save(stream, twins))
    return twins


def _hash_some(pairs: Pairs, start: int, tick: Tick) -> tuple[int, np.ndarray]:
    stop = min(start + _KEYS_AT_ONCE, len(pairs))
    hashes = key_hashes(pairs, start, stop)
    tick(stop - start)
    return start, hashes
