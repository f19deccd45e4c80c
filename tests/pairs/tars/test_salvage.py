"""From a damaged tar comes everything whose header is whole, whatever lies between."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_shard import write_tar

from sightword.pairs.tars.salvage import survey
from sightword.pairs.tars.tar import Tar

CONTENT = {f"{number:03}.txt": f"caption {number} ".encode() * (number * 30) for number in range(8)}


def written(path: Path) -> tuple[bytes, list[int]]:
    """A tar of eight files, and where their headers lie."""
    write_tar(path, CONTENT)
    with tarfile.open(path) as tar:
        return path.read_bytes(), [member.offset for member in tar]


def found(path: Path, content: bytes) -> tuple[dict[str, bytes], list[str]]:
    path.write_bytes(content)
    tar = Tar(path)
    files, damages = survey(tar)
    return {file.name: tar.read(file.offset, file.size) for file in files}, [
        damage.reason for damage in damages
    ]


def without(*numbers: int) -> dict[str, bytes]:
    return {name: data for name, data in CONTENT.items() if int(name[:3]) not in numbers}


def test_a_whole_tar_has_no_damage(tmp_path: Path) -> None:
    content, _ = written(tmp_path / "a.tar")
    assert found(tmp_path / "a.tar", content) == (CONTENT, [])


@pytest.mark.parametrize("number", [0, 3, 7])
def test_a_damaged_header_costs_one_file(tmp_path: Path, number: int) -> None:
    content, headers = written(tmp_path / "a.tar")
    at = headers[number] + 140  # inside the time of change: the checksum no longer fits
    files, reasons = found(tmp_path / "a.tar", content[:at] + b"x" + content[at + 1 :])
    assert files == without(number)
    assert len(reasons) == 1


@pytest.mark.parametrize("length", [1, 511, 512, 3000])
def test_garbage_between_files_costs_none(tmp_path: Path, length: int) -> None:
    content, headers = written(tmp_path / "a.tar")
    files, reasons = found(tmp_path / "a.tar", content[: headers[4]] + b"?" * length + content[headers[4] :])
    assert files == CONTENT
    assert reasons == [f"is damaged: no tar header at byte {headers[4]:,}"]


def test_a_hole_costs_what_lay_in_it(tmp_path: Path) -> None:
    content, headers = written(tmp_path / "a.tar")
    files, reasons = found(tmp_path / "a.tar", content[: headers[3] + 700] + content[headers[5] :])
    assert without(3, 4).items() <= files.items()
    assert len(reasons) >= 1


def test_a_cut_costs_what_lay_behind_it(tmp_path: Path) -> None:
    content, headers = written(tmp_path / "a.tar")
    files, reasons = found(tmp_path / "a.tar", content[: headers[5] + 600])
    assert files == without(5, 6, 7)
    assert len(reasons) == 1
    assert "is cut short" in reasons[0]


def test_bytes_lost_where_a_block_is_filled_up_cost_nothing(tmp_path: Path) -> None:
    content, headers = written(tmp_path / "a.tar")
    files, reasons = found(tmp_path / "a.tar", content[: headers[4] - 3] + content[headers[4] :])
    assert files == CONTENT
    assert len(reasons) == 1
    assert found(tmp_path / "a.tar", content[: headers[4] - 3])[0] == without(4, 5, 6, 7)


def test_a_missing_end_costs_nothing(tmp_path: Path) -> None:
    content, headers = written(tmp_path / "a.tar")
    end = headers[7] + 512 + -(-len(CONTENT["007.txt"]) // 512) * 512
    files, reasons = found(tmp_path / "a.tar", content[:end])
    assert files == CONTENT
    assert "without tar's end mark" in reasons[0]


def test_a_second_tar_behind_the_first_is_read_too(tmp_path: Path) -> None:
    content, _ = written(tmp_path / "a.tar")
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w") as tar:
        entry = tarfile.TarInfo("other.txt")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"words"))
    files, reasons = found(tmp_path / "a.tar", content + other.getvalue())
    assert files == {**CONTENT, "other.txt": b"words"}
    assert "goes on after tar's end mark" in reasons[0]


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(300), b"\x1f\x8b" + bytes(2000)])
def test_what_is_no_tar_holds_nothing(tmp_path: Path, content: bytes) -> None:
    files, reasons = found(tmp_path / "a.tar", content)
    assert not files
    assert len(reasons) == 1


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_makes_it_fail_or_lose_what_lies_before(tmp_path: Path, data: st.DataObject) -> None:
    content, headers = written(tmp_path / "a.tar")
    at = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "lose", "insert"]))
    rest = {
        "flip": bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :],
        "cut": b"",
        "lose": content[at + data.draw(st.integers(1, 2000)) :],
        "insert": data.draw(st.binary(min_size=1, max_size=600)) + content[at:],
    }[kind]
    files, _ = found(tmp_path / "a.tar", content[:at] + rest)
    ends = [*headers[1:], len(content)]
    before = [name for name, end in zip(CONTENT, ends, strict=True) if end <= at]
    assert all(files[name] == CONTENT[name] for name in before)
    if kind == "flip":
        assert len(files) >= len(CONTENT) - 1
