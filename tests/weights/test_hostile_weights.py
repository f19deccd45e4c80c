"""Weights of strangers who mean harm, or were damaged on the way: one line, nothing run, memory bounded."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import pickletools
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sightword.errors import SightwordError
from sightword.weights.reading import read

MIB = 1 << 20
MOST = 8 * MIB  # of Python's memory; files of these tests have far less


def state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {f"blocks.{i}.weight": torch.randn(6, 5, generator=generator) for i in range(3)}


def refused(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(SightwordError) as found:
        read(path)
    said = str(found.value)
    assert "\n" not in said
    assert len(said) < 600
    return said


class Exploit:
    """Unpickling it writes a file: what a stranger's code would do."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.proof), "w")


@pytest.mark.parametrize("way", ["since 1.6", "before 1.6", "plain pickle", "protocol 4"])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, way: str) -> None:
    file, proof = tmp_path / "w.pt", tmp_path / "proof"
    whole = {"state_dict": state(), "epoch": Exploit(proof)}
    if way in ("plain pickle", "protocol 4"):
        file.write_bytes(pickle.dumps(whole, protocol=4 if way == "protocol 4" else 2))
    else:
        torch.save(whole, file, _use_new_zipfile_serialization=way == "since 1.6")
    said = refused(file)
    assert not proof.exists()
    if way in ("since 1.6", "before 1.6"):
        assert "open, which may run code, and nothing of it was read" in said
    torch.load(file, weights_only=False) if "1.6" in way else pickle.loads(file.read_bytes())
    assert proof.exists()  # it would have been run


def archive(file: Path, pickled: bytes, storages: dict[str, bytes], **more: bytes) -> Path:
    """A file of torch.save with a pickle of one's own."""
    entries = {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little"}
    entries |= {f"data/{name}": held for name, held in storages.items()} | more
    with zipfile.ZipFile(file, "w") as opened:
        for name, held in entries.items():
            opened.writestr(f"w/{name}", held)
    return file


class Stored:
    """A storage, by its name in the archive."""

    def __init__(self, key: str, count: int) -> None:
        self.identity = ("storage", torch.FloatStorage, key, "cpu", count)


class Pickler(pickle.Pickler):
    def persistent_id(self, found: Any) -> Any:
        return found.identity if isinstance(found, Stored) else None


class Rebuilt:
    """A tensor that claims a shape."""

    def __init__(self, stored: Stored, shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
        self.arguments = stored, offset, shape, stride, False, OrderedDict()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return torch._utils._rebuild_tensor_v2, self.arguments


def claiming(
    file: Path, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, count: int = 6
) -> Path:
    """A torch file of 24 bytes of numbers, whose one tensor claims to be anything."""
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump({"weight": Rebuilt(Stored("0", count), shape, stride, offset)})
    return archive(file, buffer.getvalue(), {"0": struct.pack("<6f", *range(6))})


def test_an_archive_of_one_s_own_is_read(tmp_path: Path) -> None:
    """What the next tests are alterations of."""
    assert read(claiming(tmp_path / "w.pt", (2, 3), (3, 1))).tensors["weight"].tolist() == [
        [0, 1, 2],
        [3, 4, 5],
    ]


@pytest.mark.parametrize(
    ("shape", "stride", "offset", "count"),
    [
        ((10**6, 10**6), (10**6, 1), 0, 6),
        ((10**6, 10**6), (10**6, 1), 0, 10**12),
        ((10**9, 10**9), (0, 0), 0, 6),
        ((3,), (1,), 4, 6),
        ((3,), (1,), -2, 6),
        ((-3,), (1,), 0, 6),
        ((3,), (-1,), 3, 6),
        ((2**62, 4), (4, 1), 0, 6),
        ((6,), (1,), 0, 10**15),
    ],
    ids=["large", "large storage", "the same number again and again", "beyond its end", "before its start",
         "negative", "backwards", "beyond 64 bits", "only the storage"],
)  # fmt: skip
def test_shapes_that_the_file_has_not(
    tmp_path: Path, shape: tuple[int, ...], stride: tuple[int, ...], offset: int, count: int
) -> None:
    file = claiming(tmp_path / "w.pt", shape, stride, offset, count)
    if count == 10**15 and offset == 0 and shape == (6,):  # its tensor is whole, whatever the storage claims
        read(file)
    else:
        refused(file)


def test_many_views_of_few_numbers(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    views = {f"w{i}": Rebuilt(Stored("0", 6), (1, 5 - i % 2), (5, 1), i % 2) for i in range(2)}
    views |= {f"v{i}": Rebuilt(Stored("0", 6), (i, 1), (1, 1), 0) for i in range(1, 6)}
    Pickler(buffer, protocol=2).dump(views)
    numbers = archive(tmp_path / "w.pt", buffer.getvalue(), {"0": b"\0" * 24})
    large = archive(tmp_path / "v.pt", buffer.getvalue(), {"0": b"\0" * 24})
    assert numbers.read_bytes() == large.read_bytes()
    assert len(read(numbers).tensors) == 7  # a few are as large as the file
    many = {f"w{i}": Rebuilt(Stored("0", 250_000), (249_000,), (1,), i) for i in range(500)}
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(many)
    assert "claim 498,000,000 bytes" in refused(
        archive(tmp_path / "many.pt", buffer.getvalue(), {"0": bytes(MIB)})
    )


def test_what_makes_memory_is_not_called(tmp_path: Path) -> None:
    """torch's own list lets bytearray(10**12) and encodings of encodings through."""

    class Bytes:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return bytearray, (10**12,)

    for new in (True, False):
        torch.save(
            {"state_dict": state(), "more": Bytes()}, tmp_path / "w.pt", _use_new_zipfile_serialization=new
        )
        assert "bytearray" in refused(tmp_path / "w.pt")


def test_zip_bombs(tmp_path: Path) -> None:
    zeros = pickle.dumps({"state_dict": "0" * (16 * MIB)}, protocol=2)
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("w/data.pkl", zeros)
    assert (tmp_path / "w.pt").stat().st_size < MIB
    tracemalloc.start()
    assert "unpacks to more than it holds" in refused(tmp_path / "w.pt")
    assert tracemalloc.get_traced_memory()[1] < MOST
    tracemalloc.stop()


def test_a_zip_of_other_things(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as opened:
        opened.writestr("a.npy", b"x")
    assert "not one that torch.save wrote" in refused(tmp_path / "w.npz")


def safetensors(file: Path, header: bytes, data: bytes = bytes(64), length: int | None = None) -> Path:
    file.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return file


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(0, 64, [10**6, 10**6])},
        {"a": entry(-64, 64, [16])},
        {"a": entry(64, 0, [16])},
        {"a": entry(0, 48, [12]), "b": entry(16, 64, [12])},
        {"a": entry(0, 10**12, [25 * 10**10])},
        {"a": entry(0, 32, [8])},
        {"a": entry(0, 64, [2**62, 2**62])},
        {"a": entry(0, 64, [16], "F1024")},
        {"a": [1, 2]},
        {"__metadata__": {"a": {"b": "c"}}, "a": entry(0, 64, [16])},
    ],
    ids=["shape", "negative", "backwards", "overlapping", "beyond the end", "not all of the file",
         "beyond 64 bits", "unknown numbers", "no entry", "metadata"],
)  # fmt: skip
def test_safetensors_headers_that_lie(tmp_path: Path, header: dict[str, Any]) -> None:
    assert "no whole safetensors file" in refused(
        safetensors(tmp_path / "w.safetensors", json.dumps(header).encode())
    )


@pytest.mark.parametrize("length", [10**11, 2**63, 2**64 - 1, 90 * MIB])
def test_headers_of_a_hundred_gigabytes(tmp_path: Path, length: int) -> None:
    tracemalloc.start()
    refused(safetensors(tmp_path / "w.safetensors", b"{}", length=length))
    assert tracemalloc.get_traced_memory()[1] < MOST
    tracemalloc.stop()


def test_quantised_weights_are_named(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(4, dtype=torch.float8_e4m3fn)}, tmp_path / "w.safetensors")
    assert "a of" in refused(tmp_path / "w.safetensors")
    torch.save({"a": torch.zeros(4).to_sparse()}, tmp_path / "w.pt")
    refused(tmp_path / "w.pt")
    torch.save({"a": torch.zeros(4, dtype=torch.complex64)}, tmp_path / "w.pt")
    assert "is complex64" in refused(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "named", ["../../etc/passwd", "/etc/passwd", "a/b.safetensors", "..", "", ".", "a\0b", "..\\x"]
)
def test_an_index_names_files_beside_it(tmp_path: Path, named: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": named}}))
    said = refused(tmp_path)
    assert "does not lie beside it" in said
    assert "root:" not in said


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ('{"weight_map": {"a": "gone.safetensors"}}', "gone.safetensors, which is missing"),
        ('{"weight_map": {"a": "here.safetensors", "b": "here.safetensors"}}', "b, which no file holds"),
        ('{"weight_map": {"b": "here.safetensors"}}', "holds a, which its index does not say"),
        ('{"weight_map": {"a": 7}}', "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": []}', "has no weight_map"),
        ("[]", "holds list, wanted a JSON object"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ("\xff\xfe", "is not JSON"),
    ],
)
def test_indexes_that_do_not_fit(tmp_path: Path, index: str, message: str) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "here.safetensors")
    (tmp_path / "model.safetensors.index.json").write_bytes(index.encode("latin-1"))
    assert message in refused(tmp_path)


def test_a_huge_json(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "model.safetensors")
    with (tmp_path / "config.json").open("wb") as opened:
        opened.truncate(10**11)  # no disk is taken
    assert "larger than 64 MiB" in refused(tmp_path)


def test_what_is_no_weights(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("a text")
    assert "no weights that can be read" in refused(tmp_path / "w.txt")
    (tmp_path / "w.safetensors").write_text("a text")
    refused(tmp_path / "w.safetensors")
    (tmp_path / "w.pt").write_text("a text")
    refused(tmp_path / "w.pt")
    (tmp_path / "empty.pt").touch()
    refused(tmp_path / "empty.pt")
    (tmp_path / "lfs.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "git lfs pull" in refused(tmp_path / "lfs.pt")
    assert "no file and no folder" in refused(tmp_path / "nothing")
    assert "no file and no folder" in refused(Path("/dev/zero"))
    (tmp_path / "empty").mkdir()
    assert "wanted one of open_clip_model.safetensors" in refused(tmp_path / "empty")
    torch.save({"epoch": 3, "lr": [1.0]}, tmp_path / "w.pt")
    assert "holds no state dict, but epoch, lr" in refused(tmp_path / "w.pt")
    torch.save([torch.zeros(3)], tmp_path / "w.pt")
    assert "holds no state dict, but list" in refused(tmp_path / "w.pt")
    save_file({}, tmp_path / "none.safetensors")
    assert "holds no tensors" in refused(tmp_path / "none.safetensors")


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("model.safetensors")
    refused(tmp_path)
    refused(tmp_path / "model.safetensors")
    (tmp_path / "w.pt").symlink_to("/etc/passwd")
    assert "root:" not in refused(tmp_path / "w.pt")


def test_lists_within_themselves_are_no_settings(tmp_path: Path) -> None:
    around: list[Any] = [1]
    around.append(around)
    table: dict[str, Any] = {"lr": 1.0}
    table["table"] = table
    torch.save({"state_dict": state(), "around": around, "table": table}, tmp_path / "w.pt")
    assert read(tmp_path / "w.pt").about == {"table": {"lr": 1.0}}
    inside: dict[str, Any] = {}
    inside["model"] = inside
    torch.save(inside, tmp_path / "w.pt")
    assert "holds no state dict" in refused(tmp_path / "w.pt")


def samples(folder: Path) -> list[Path]:
    """Whole files of every kind."""
    save_file(state(), folder / "w.safetensors", {"epoch": "3"})
    wrapped = {
        "epoch": 3,
        "state_dict": {f"module.{n}": t.half() for n, t in state().items()},
        "args": {"a": [1, 2]},
    }
    torch.save(wrapped, folder / "w.pt")
    torch.save(wrapped, folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(5, 6)), str(folder / "script.pt"))
    return [folder / name for name in ("w.safetensors", "w.pt", "old.pt", "script.pt")]


def read_or_refused(path: Path) -> bool:
    """Whether a file is read; otherwise it is refused in one line. Anything else is raised."""
    with contextlib.suppress(SightwordError):
        read(path)
        return True
    refused(path)
    return False


def harmed(whole: bytes, chance: random.Random) -> bytes:
    """A file with up to eight bytes changed, or cut short, or both."""
    held = bytearray(whole)
    for _ in range(chance.randint(0, 8)):
        held[chance.randrange(len(held))] = chance.randrange(256)
    return bytes(held[: chance.randrange(len(held))]) if chance.random() < 0.3 else bytes(held)


@pytest.mark.filterwarnings("ignore")
def test_harm_by_chance_is_read_or_refused(tmp_path: Path) -> None:
    """Never another exception, never a crash."""
    chance, refusals = random.Random(0), 0
    for whole in samples(tmp_path):
        held = whole.read_bytes()
        assert read(whole).tensors
        head = len(held) // 2 if whole.suffix == ".safetensors" else len(held)
        for _ in range(60):
            file = tmp_path / f"harmed{whole.suffix}"
            file.write_bytes(
                harmed(held, chance) if chance.random() < 0.5 else harmed(held[:head], chance) + held[head:]
            )
            refusals += not read_or_refused(file)
    assert 50 < refusals < 240  # most harm is seen, and a changed number is no harm that can be


@pytest.mark.filterwarnings("ignore")
def test_harm_to_a_pickle_is_read_or_refused(tmp_path: Path) -> None:
    """An archive's checksum would see it: the pickle is harmed first, and then put into a whole archive."""
    buffer = io.BytesIO()
    tensors = {f"w{i}": Rebuilt(Stored("0", 6), (2, 3), (3, 1), 0) for i in range(3)}
    Pickler(buffer, protocol=2).dump({"epoch": 3, "state_dict": tensors})
    whole, chance = pickletools.optimize(buffer.getvalue()), random.Random(1)
    read(archive(tmp_path / "w.pt", whole, {"0": bytes(24)}))
    for _ in range(200):
        file = archive(tmp_path / "w.pt", harmed(whole, chance), {"0": bytes(24)})
        read_or_refused(file)
