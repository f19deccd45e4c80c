"""Every kind of damage is found, told and listed, and nothing that is whole is called broken."""

from __future__ import annotations

import io
import json
import random
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from odd_pictures import ODD, scenery, stored, texture
from small_shard import write_tar

from sightword.corpora.checking.check import check
from sightword.corpora.checking.checked import Checked, CheckOptions
from sightword.corpora.packing.pack import PackOptions, pack
from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs

ALONE = CheckOptions(processes=1)


def pair(number: int, **fields: object) -> dict[str, bytes]:
    """A picture, a caption and a json that no other number has."""
    return {
        f"{number:04}.jpg": stored(scenery(40, 30, number), "JPEG", quality=92),
        f"{number:04}.txt": f"scene number {number}".encode(),
        f"{number:04}.json": json.dumps({"number": number, **fields}).encode(),
    }


def shard(path: Path, first: int, count: int, **changes: bytes | None) -> Path:
    """A tar of pairs; `changes` replace files, `None` leaves one out, and new ones come last."""
    files = {name: data for number in range(first, first + count) for name, data in pair(number).items()}
    changed = {**files, **{name.replace("_", "."): data for name, data in changes.items()}}
    return write_tar(path, {name: data for name, data in changed.items() if data is not None})


def listed(out: Path, kind: str = "") -> list[tuple[str, str]]:
    """Kind (or reason, of one kind) and key of every finding."""
    entries = [json.loads(line) for line in (out / "check.jsonl").read_text().splitlines()]
    if kind:
        return [(entry["key"], entry["reason"]) for entry in entries if entry["kind"] == kind]
    return [(entry["kind"], entry["key"]) for entry in entries]


def test_a_whole_corpus_is_whole(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shard(tmp_path / "in" / "0.tar", 0, 6)
    shard(tmp_path / "in" / "1.tar", 6, 5)
    found = check(str(tmp_path / "in"), tmp_path / "out", ALONE)
    assert found.whole
    assert found.exit_code == 0
    assert (found.samples, found.decoded, found.shards, found.captions) == (11, 11, 2, 11)
    assert (found.problems, found.notes, found.counts) == (0, 0, {})
    assert listed(tmp_path / "out") == []
    assert list(found.lines())[-1] == "whole"


def test_records_hold_what_was_found(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", 0, 3, **{"0001_txt": None})
    found = check(str(path), tmp_path / "out", ALONE)
    record = json.loads((tmp_path / "out" / "check.json").read_bytes())
    assert record["problems"] == found.problems == 1
    assert record["counts"] == {"no-caption": 1}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["check.json", "check.jsonl"]


CUT = stored(scenery(40, 30, 1), "JPEG", quality=92)[:700]
PROBLEMS: Mapping[str, tuple[dict[str, bytes | None], list[tuple[str, str]]]] = {
    "no caption": ({"0001_txt": None}, [("no-caption", "0001")]),
    "no picture": ({"0001_jpg": None}, [("no-picture", "0001")]),
    "empty caption": ({"0001_txt": b" \n"}, [("empty-caption", "0001")]),
    "latin caption": ({"0001_txt": "caf\xe9".encode("latin1")}, [("not-utf8", "0001")]),
    "broken json": ({"0001_json": b"{"}, [("bad-json", "0001")]),
    "json list": ({"0001_json": b"[1]"}, [("bad-json", "0001")]),
    "cut picture": ({"0001_jpg": CUT}, [("unreadable", "0001")]),
    "empty picture": ({"0001_jpg": b""}, [("unreadable", "0001")]),
    "web page": ({"0001_jpg": b"<html>404</html>"}, [("unreadable", "0001")]),
    "second picture": (
        {"0001_png": stored(texture(9, 9))},
        [("two-of-a-key", "0001"), ("scattered", "0001")],
    ),
    "wrong type": ({"0001_jpg": stored(scenery(40, 30, 1))}, [("wrong-type", "0001")]),
    "tiny": ({"0001_jpg": stored(texture(1, 40), "JPEG")}, [("tiny", "0001")]),
    "strip": ({"0001_jpg": stored(texture(400, 10), "JPEG")}, [("strip", "0001")]),
    "blank": ({"0001_jpg": stored(texture(40, 30).point(lambda _: 200), "JPEG")}, [("blank", "0001")]),
    "same picture": ({"0001_jpg": pair(0)["0000.jpg"]}, [("same-picture", "0001")]),
    "near copy": ({"0001_jpg": stored(scenery(40, 30, 0), "JPEG", quality=80)}, [("near-copy", "0001")]),
    "other files": ({"notes_cls": b"3", "more_xml": b""}, [("other-files", "")]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_fault_is_found_and_nothing_else(tmp_path: Path, name: str) -> None:
    changes, wanted = PROBLEMS[name]
    found = check(str(shard(tmp_path / "a.tar", 0, 4, **changes)), tmp_path / "out", ALONE)
    assert listed(tmp_path / "out") == wanted
    notes = {"wrong-type", "tiny", "strip", "blank", "same-picture", "near-copy", "other-files", "scattered"}
    assert found.whole == all(kind in notes for kind, _ in wanted)
    assert found.exit_code == (0 if found.whole else 1)
    assert any(wanted[0][0] in line for line in found.lines())


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in a few bytes, which would take 1.2 GB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    size = (20_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    chunks = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    check(str(shard(tmp_path / "a.tar", 0, 2, **{"0001_jpg": bomb()})), tmp_path / "out", ALONE)
    ((key, reason),) = listed(tmp_path / "out", "unreadable")
    assert key == "0001"
    assert "pixels" in reason


@pytest.mark.parametrize("kind", ODD)
def test_odd_pictures_are_no_problem(tmp_path: Path, kind: str) -> None:
    files = {f"a.{kind.rpartition('.')[2]}": ODD[kind](60, 40), "a.txt": b"odd"}
    found = check(str(write_tar(tmp_path / "a.tar", files)), tmp_path / "out", ALONE)
    assert found.whole
    assert found.counts == {}


def test_links_and_folders_are_told_apart(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        folder, link = tarfile.TarInfo("folder"), tarfile.TarInfo("folder/x.jpg")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(folder)
        tar.addfile(link)
        for name, data in pair(0).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    found = check(str(tmp_path / "a.tar"), tmp_path / "out", ALONE)
    assert listed(tmp_path / "out", "other-files") == [("", "1 files: folder/x.jpg")]
    assert found.samples == 1


def test_samples_whose_files_are_apart_are_noted(tmp_path: Path) -> None:
    files = {**pair(0), **pair(1)}
    order = ["0000.jpg", "0001.jpg", "0000.txt", "0001.txt", "0000.json", "0001.json"]
    found = check(
        str(write_tar(tmp_path / "a.tar", {name: files[name] for name in order})), tmp_path / "out", ALONE
    )
    assert listed(tmp_path / "out") == [("scattered", "0000"), ("scattered", "0001")]
    assert found.whole


def test_damage_costs_neither_other_shards_nor_what_lies_around_it(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        shard(folder / f"{number}.tar", 10 * number, 8, **({"0013_txt": None} if number == 1 else {}))
    with tarfile.open(folder / "1.tar") as tar:
        header = tar.getmember("0014.jpg").offset
    content = bytearray((folder / "1.tar").read_bytes())
    content[header + 3] ^= 64
    (folder / "1.tar").write_bytes(content)
    (folder / "2.tar").write_bytes((folder / "2.tar").read_bytes()[:9000])
    (folder / "3.tar").write_bytes(b"<html>not found</html>" * 100)
    found = check(str(folder), tmp_path / "out", ALONE)
    entries = listed(tmp_path / "out")
    assert entries.count(("damaged-shard", "")) == 3
    assert ("no-caption", "0013") in entries
    assert ("no-picture", "0014") in entries
    assert found.samples >= 8 + 7 + 8
    assert found.exit_code == 1


def test_missing_shards_are_told_and_the_others_examined(tmp_path: Path) -> None:
    shard(tmp_path / "0.tar", 0, 2)
    shard(tmp_path / "2.tar", 2, 2)
    found = check(str(tmp_path / "{0..2}.tar"), tmp_path / "out", ALONE)
    assert found.counts == {"missing-shard": 1}
    assert found.samples == 4


def test_nothing_at_all_is_wrong_usage(tmp_path: Path) -> None:
    for source in (tmp_path / "none.tar", tmp_path / "{0..2}.tar", tmp_path / "none"):
        with pytest.raises(SightwordError, match=r"none|missing|exist"):
            check(str(source), tmp_path / "out", ALONE)


def test_an_empty_tar_is_a_problem(tmp_path: Path) -> None:
    found = check(str(write_tar(tmp_path / "a.tar", {})), tmp_path / "out", ALONE)
    assert found.counts == {"nothing": 1}


def test_keys_of_another_shard_are_noted(tmp_path: Path) -> None:
    one, two = shard(tmp_path / "0.tar", 0, 3), shard(tmp_path / "1.tar", 2, 2)
    found = check(f"{one}::{two}", tmp_path / "out", ALONE)
    assert listed(tmp_path / "out") == [("same-key", "0002"), ("same-picture", "0002")]
    assert found.repeated.same_keys == found.repeated.same_pictures == 1
    assert found.repeated.near_share == pytest.approx(1 / 5)
    assert found.repeated.repeated_captions == pytest.approx(2 / 5)


def test_only_the_split_is_examined(tmp_path: Path) -> None:
    files = {**pair(0, split="train"), **pair(1, split="test"), **pair(2)}
    files["0001.jpg"] = b"broken"
    path = write_tar(tmp_path / "a.tar", files)
    found = check(str(path), tmp_path / "out", CheckOptions(split="train", processes=1))
    assert found.whole
    assert found.samples == 1


def test_captionless_pictures_may_be_wanted(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", 0, 3, **{"0001_txt": None, "0002_txt": b" "})
    assert check(str(path), tmp_path / "out", ALONE, Reading(captionless=True)).whole
    assert not check(str(path), tmp_path / "out", ALONE).whole


def test_a_share_of_the_pictures_is_a_part_of_them_every_time(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", 0, 60)
    half = CheckOptions(share=0.5, processes=1)
    halves = [check(str(path), tmp_path / "out", half).decoded for _ in range(2)]
    assert halves[0] == halves[1]
    assert 15 < halves[0] < 45  # four standard deviations
    assert check(str(path), tmp_path / "out", CheckOptions(share=0.0, processes=1)).decoded == 0


def test_captions_are_measured(tmp_path: Path) -> None:
    files = {f"{name}.jpg": stored(scenery(20, 20, seed), "JPEG") for seed, name in enumerate("abcd")}
    texts = {"a": "word " * 74 + "word", "b": "word " * 75 + "word", "c": "ab", "d": "ab"}
    files |= {f"{name}.txt": text.encode() for name, text in texts.items()}
    found = check(str(write_tar(tmp_path / "a.tar", files)), tmp_path / "out", ALONE)
    assert found.captions == 4
    assert found.over_context == 1 / 4  # 75 words, start and end are 77 tokens; 76 words are too many
    assert (found.longest_caption, found.longest_caption_key) == (len(texts["b"]), "b")
    assert found.mean_characters == sum(map(len, texts.values())) / 4
    assert found.repeated.repeated_captions == 0.5


def test_all_captions_of_a_sample_count(tmp_path: Path) -> None:
    files = pair(0)
    files["0000.json"] = json.dumps({"captions": ["scene number 0", "another", 3, ""]}).encode()
    assert check(str(write_tar(tmp_path / "a.tar", files)), tmp_path / "out", ALONE).captions == 2


def test_few_shards_are_noted_only_when_asked(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", 0, 2)
    found = check(str(path), tmp_path / "out", CheckOptions(ranks=2, loaders=2, processes=1))
    assert found.counts == {"few-shards": 1}
    assert found.whole
    assert "1 shards for 2 ranks x 2 loaders" in listed(tmp_path / "out", "few-shards")[0][1]
    assert not check(str(path), tmp_path / "out", CheckOptions(ranks=1, processes=1)).counts


def test_other_sources_are_examined_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = ["filepath,title"]
    for number in range(4):
        picture = pair(number)[f"{number:04}.jpg"]
        (tmp_path / "in" / f"{number}.jpg").write_bytes(CUT if number == 2 else picture)
        lines.append(f"{number}.jpg,scene {number}")
    (tmp_path / "in" / "list.csv").write_text("\n".join(lines))
    found = check(str(tmp_path / "in" / "list.csv"), tmp_path / "out", ALONE)
    assert (found.samples, found.decoded) == (4, 3)
    assert found.counts == {"unreadable": 1}


def test_any_number_of_processes_finds_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        shard(folder / f"{number}.tar", 5 * number, 7, **{f"{5 * number:04}_txt": None})
    results = {}
    for count in (1, 2):
        out = tmp_path / str(count)
        check(str(folder), out, CheckOptions(processes=count))
        results[count] = (out / "check.jsonl").read_bytes()
    assert results[1] == results[2]
    assert results[1]


def test_a_tar_in_parts_is_as_one_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(tmp_path / "a.tar", 0, 20, **{"0003_txt": None, "0017_jpg": b"broken"})
    check(str(path), tmp_path / "whole", ALONE)
    for name in ("SMALLEST", "LARGEST"):
        monkeypatch.setattr(f"sightword.corpora.checking.look_tar.{name}", 5000)
    found = check(str(path), tmp_path / "parts", ALONE)
    assert found.samples == 20
    assert listed(tmp_path / "whole") == [("no-caption", "0003"), ("unreadable", "0017")]
    assert listed(tmp_path / "parts") == listed(tmp_path / "whole")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(SightwordError, match="another --out"):
        check(str(shard(tmp_path / "a.tar", 0, 1)), tmp_path / "out", ALONE)


@pytest.mark.parametrize("options", [{"share": 1.5}, {"share": -1.0}, {"ranks": -1}, {"loaders": 0}])
def test_options_that_cannot_be_are_told(options: dict[str, float]) -> None:
    with pytest.raises(SightwordError, match=f"--{next(iter(options))}"):
        CheckOptions(**options)  # type: ignore[arg-type]


def test_what_pack_writes_is_whole(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", 0, 9, **{"0003_txt": None, "0004_jpg": CUT})
    pack(str(path), tmp_path / "clean", PackOptions(per_shard=4, verify=True, max_bad=0.5, processes=1))
    assert not check(str(path), tmp_path / "out", ALONE).whole
    assert check(str(tmp_path / "clean"), tmp_path / "out", ALONE).whole


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A tar after one accident."""
    at = rng.randrange(len(content))
    return rng.choice(
        [
            lambda: content[:at],
            lambda: content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :],
            lambda: content[:at] + rng.randbytes(rng.randrange(1, 2000)) + content[at:],
            lambda: content[:at] + content[at + rng.randrange(1, 3000) :],
            lambda: content[:at] + bytes(512) + content[at + 512 :],
        ]
    )()


def common(first: bytes, second: bytes) -> int:
    """How many bytes two files begin with alike."""
    ends = (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(ends, min(len(first), len(second)))


@pytest.mark.parametrize("seed", range(4))
def test_after_any_accident_every_good_sample_is_still_found(tmp_path: Path, seed: int) -> None:
    """Good is what Python's own reader still finds before the accident, byte for byte."""
    content = shard(tmp_path / "whole.tar", 0, 6).read_bytes()
    rng = random.Random(seed)
    for number in range(12):
        broken = mutated(content, rng)
        path = tmp_path / f"{number}.tar"
        path.write_bytes(broken)
        found = check(str(path), tmp_path / "out", ALONE)
        same = common(broken, content)
        with tarfile.open(tmp_path / "whole.tar") as tar:
            ends = [entry.offset_data + entry.size for entry in tar if entry.name.endswith(".json")]
        assert found.decoded >= sum(end <= same for end in ends)
        try:
            trained = len(open_pairs(str(path)))
        except SightwordError:
            assert not found.whole  # what training refuses, the examination does not call whole
        else:
            assert found.samples >= trained


def test_lines_are_short_enough_for_people(tmp_path: Path) -> None:
    found: Checked = check(
        str(shard(tmp_path / "a.tar", 0, 2, **{"0001_txt": None})), tmp_path / "out", ALONE
    )
    lines = list(found.lines())
    assert len(lines) == 5
    assert lines[3].startswith("problem: no-caption 1, pictures without a caption (0001 in ")
    assert lines[4] == "not whole: 1 problems, 0 notes"
