"""Packing: the same samples come out, the same bytes every time, and a killed packing goes on."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from odd_pictures import stored, texture
from small_shard import small_shard, write_tar

from sightword.corpora.packing.encoding import Encoding
from sightword.corpora.packing.pack import PackOptions, pack
from sightword.errors import SightwordError
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import CORPUS
from sightword.views.decode import decode


def samples_of(path: Path | str) -> list[Sample]:
    pairs = open_pairs(str(path))
    return [pairs[i] for i in range(len(pairs))]


def tars_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """23 pairs in two tars, with fields, of which two have the same key."""
    folder = tmp_path / "source"
    folder.mkdir()
    small_shard(folder / "a.tar", 20)
    files = {}
    for number, key in enumerate(["0003", "with space", "deep/er"]):
        files[f"{key}.jpg"] = stored(texture(70, 50, number), "JPEG", quality=100, subsampling=0)
        files[f"{key}.txt"] = f"texture {number}".encode()
        files[f"{key}.json"] = json.dumps({"number": number, "split": "test", "words": ["é", None]}).encode()
    write_tar(folder / "b.tar", files)
    return folder


def test_the_same_samples_come_out(source: Path, tmp_path: Path) -> None:
    told = pack(str(source), tmp_path / "out", PackOptions(per_shard=7, processes=1))
    before, after = samples_of(source), samples_of(tmp_path / "out")
    assert [sample.image for sample in after] == [sample.image for sample in before]
    assert [sample.captions for sample in after] == [sample.captions for sample in before]
    for old, new in zip(before, after, strict=True):
        changed = {} if new.key == old.key else {"original_key": old.key}
        assert new.fields == {**old.fields, **changed}
    assert [sample.key for sample in after[20:]] == ["0003~~20", "with_space", "deep_er"]
    assert len({sample.key for sample in after}) == 23
    assert (told.samples, told.shards, told.bad, told.encoded, told.renamed) == (23, 4, 0, 0, 3)
    assert open_pairs(str(tmp_path / "out")).counts == (7, 7, 7, 2)
    assert told.bytes == sum(map(len, tars_of(tmp_path / "out").values()))


def test_records_say_what_was_written(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = pack(str(source), out, PackOptions(per_shard=9, processes=1))
    record = json.loads((out / "pack.json").read_bytes())
    assert record["data_hash"] == told.data_hash == open_pairs(str(out)).data_hash
    assert record["samples"] == 23
    stats = json.loads((out / "00002_stats.json").read_bytes())
    assert [stats[name] for name in ("count", "successes", "failed_to_download", "failed_to_resize")] == [
        5,
        5,
        0,
        0,
    ]
    assert stats["status_dict"] == {"success": 5}
    assert sorted(path.name for path in out.glob("*.index.npz")) == [
        f"0000{n}.tar.index.npz" for n in range(3)
    ]


def test_what_the_source_leaves_out_is_told(tmp_path: Path) -> None:
    files = {"a.png": stored(texture(9, 9)), "a.txt": b"a", "b.png": stored(texture(9, 9)), "c.txt": b"c"}
    told = pack(str(write_tar(tmp_path / "a.tar", files)), tmp_path / "out", PackOptions(processes=1))
    assert told.not_served == "1 without picture, 1 without caption"
    assert told.not_served in told.line()


def test_one_index_of_all_shards_is_written(source: Path, tmp_path: Path) -> None:
    pack(str(source), tmp_path / "out", PackOptions(per_shard=9, processes=1))
    assert (tmp_path / "out" / CORPUS).exists()


def test_python_s_own_tar_reader_finds_the_files(source: Path, tmp_path: Path) -> None:
    pack(str(source), tmp_path / "out", PackOptions(processes=1))
    with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
        names = tar.getnames()
    assert names[:2] == ["0000.png", "0000.txt"]
    assert names[-3:] == ["deep_er.jpg", "deep_er.txt", "deep_er.json"]


@pytest.mark.parametrize("shuffle", [None, 5])
def test_any_number_of_processes_writes_the_same_bytes(
    source: Path, tmp_path: Path, shuffle: int | None
) -> None:
    encoding = Encoding(resize=24, format="webp")
    for workers in (1, 2):
        options = PackOptions(per_shard=5, shuffle=shuffle, processes=workers, encoding=encoding)
        pack(str(source), tmp_path / str(workers), options)
    assert tars_of(tmp_path / "1") == tars_of(tmp_path / "2")


def test_shuffled_is_a_permutation_that_the_seed_decides(source: Path, tmp_path: Path) -> None:
    pictures = {}
    for seed in (1, 2):
        pack(str(source), tmp_path / str(seed), PackOptions(per_shard=6, shuffle=seed, processes=1))
        pictures[seed] = [sample.image for sample in samples_of(tmp_path / str(seed))]
    plain = [sample.image for sample in samples_of(source)]
    assert sorted(pictures[1]) == sorted(pictures[2]) == sorted(plain)
    assert pictures[1] != pictures[2] != plain
    firsts = {sample.image: number for number, sample in enumerate(samples_of(source))}
    first_shard = [firsts[image] for image in pictures[1][:6]]
    assert max(first_shard) > 6  # from all over the source


def test_running_numbers_as_keys(source: Path, tmp_path: Path) -> None:
    pack(str(source), tmp_path / "out", PackOptions(per_shard=10, keys="number", processes=1))
    after = samples_of(tmp_path / "out")
    assert [sample.key for sample in after[9:12]] == ["000009", "000010", "000011"]
    assert after[22].fields["original_key"] == "deep/er"


def test_only_one_split(source: Path, tmp_path: Path) -> None:
    pack(str(source), tmp_path / "out", PackOptions(split="test", processes=1))
    assert [sample.caption for sample in samples_of(tmp_path / "out")] == [f"texture {n}" for n in range(3)]


def test_made_smaller(source: Path, tmp_path: Path) -> None:
    told = pack(str(source), tmp_path / "out", PackOptions(processes=1, encoding=Encoding(resize=45)))
    after = samples_of(tmp_path / "out")
    assert told.encoded == 3  # the squares have 40 pixels already
    assert [decode(sample.image, "").shape for sample in after[19:]] == [(40, 40, 3), *[(45, 63, 3)] * 3]
    assert [sample.image for sample in after[:20]] == [sample.image for sample in samples_of(source)[:20]]


def damaged(folder: Path, good: int, bad: int) -> Path:
    """A tar where `bad` pictures are cut."""
    files = {}
    for number in range(good + bad):
        picture = stored(texture(60, 60, number))
        files[f"{number:04}.png"] = picture if number >= bad else picture[: len(picture) // 2]
        files[f"{number:04}.txt"] = b"texture"
    folder.mkdir()
    return write_tar(folder / "damaged.tar", files)


def test_the_unreadable_are_left_out_and_listed(tmp_path: Path) -> None:
    source, out = damaged(tmp_path / "in", 10, 2), tmp_path / "out"
    told = pack(str(source), out, PackOptions(per_shard=4, verify=True, max_bad=0.5, processes=1))
    assert (told.samples, told.bad) == (10, 2)
    listed = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert [(entry["key"], entry["number"]) for entry in listed] == [("0000", 0), ("0001", 1)]
    assert all("not a readable picture" in entry["reason"] for entry in listed)
    assert [sample.key for sample in samples_of(out)] == [f"{number:04}" for number in range(2, 12)]
    assert json.loads((out / "00000_stats.json").read_bytes())["failed_to_resize"] == 2


def test_without_a_wish_to_verify_bytes_are_copied_unread(tmp_path: Path) -> None:
    source = damaged(tmp_path / "in", 3, 2)
    assert pack(str(source), tmp_path / "out", PackOptions(processes=1)).samples == 5


def test_too_many_unreadable_stop_it_and_a_higher_limit_goes_on(tmp_path: Path) -> None:
    source, out = damaged(tmp_path / "in", 20, 4), tmp_path / "out"
    options = PackOptions(per_shard=4, verify=True, max_bad=0.1, processes=1)
    with pytest.raises(
        SightwordError, match=r"4 samples are unreadable, more than 0\.1 of all 24; first 0000 "
    ):
        pack(str(source), out, options)
    told = pack(str(source), out, PackOptions(per_shard=4, verify=True, max_bad=0.2, processes=1))
    assert (told.samples, told.bad, told.reused_shards) == (20, 4, 1)


def test_a_finished_packing_is_not_made_again(source: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", PackOptions(per_shard=5, processes=1)
    first = pack(str(source), out, options)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    again = pack(str(source), out, options)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")} == times
    assert again.reused_shards == again.shards == 5
    assert again.data_hash == first.data_hash


@pytest.mark.parametrize("harm", ["cut", "torn", "lost", "no record"])
def test_a_harmed_shard_is_written_again(source: Path, tmp_path: Path, harm: str) -> None:
    out, options = tmp_path / "out", PackOptions(per_shard=5, processes=1)
    pack(str(source), out, options)
    whole, tar = tars_of(out), out / "00001.tar"
    content = tar.read_bytes()
    if harm == "cut":
        tar.write_bytes(content[:-700])
    elif harm == "torn":
        tar.write_bytes(content[:6000] + bytes(len(content) - 6000))
    elif harm == "lost":
        tar.unlink()
    else:
        (out / "00001_stats.json").write_text('{"count":')
    assert pack(str(source), out, options).reused_shards == 4
    assert tars_of(out) == whole


def test_another_packing_in_the_same_folder_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(str(source), out, PackOptions(processes=1))
    whole = tars_of(out)
    for options in (
        PackOptions(per_shard=3, processes=1),
        PackOptions(shuffle=1, processes=1),
        PackOptions(encoding=Encoding(resize=8), processes=1),
    ):
        with pytest.raises(SightwordError, match=r"made otherwise.*another --out"):
            pack(str(source), out, options)
    with pytest.raises(SightwordError, match=r"made otherwise \(data_hash, samples differ"):
        pack(str(source / "a.tar"), out, PackOptions(processes=1))
    assert tars_of(out) == whole


def test_a_folder_with_other_tars_is_refused(source: Path) -> None:
    with pytest.raises(SightwordError, match="not packed here"):
        pack(str(source), source, PackOptions(processes=1))


def test_a_file_in_the_place_of_the_folder_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(SightwordError, match="is a file"):
        pack(str(source), tmp_path / "out", PackOptions(processes=1))


@pytest.mark.parametrize("options", [{"per_shard": 0}, {"max_bad": 1.5}, {"max_bad": -0.1}])
def test_options_that_cannot_be_are_told(options: dict[str, float]) -> None:
    with pytest.raises(SightwordError, match=f"--{next(iter(options)).replace('_', '-')}"):
        PackOptions(**options)  # type: ignore[arg-type]


def test_a_full_disk_leaves_whole_shards_and_room_lets_it_go_on(source: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", PackOptions(per_shard=6, processes=1)
    pack(str(source), tmp_path / "wanted", options)
    wanted = tars_of(tmp_path / "wanted")
    limit = len(wanted["00003.tar"]) - 1  # the last shard is the largest
    assert max(map(len, list(wanted.values())[:3])) < limit
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(SightwordError, match=r"cannot write .*00003\.tar.*make room"):
            pack(str(source), out, options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert tars_of(out) == {name: content for name, content in wanted.items() if name != "00003.tar"}
    assert not list(out.glob(".*.tar.*"))
    assert pack(str(source), out, options).reused_shards == 3
    assert tars_of(out) == wanted


KILLED = """
import sys
from pathlib import Path
from sightword.corpora.packing.pack import PackOptions, pack
if __name__ == "__main__":
    pack(sys.argv[1], Path(sys.argv[2]), PackOptions(per_shard=4, verify=True, processes=int(sys.argv[3])))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_run_again_it_writes_what_it_would_have_written(tmp_path: Path, workers: int) -> None:
    source = small_shard(tmp_path / "source.tar", 120)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    out, options = tmp_path / "out", PackOptions(per_shard=4, verify=True, processes=1)
    process = subprocess.Popen(
        [sys.executable, str(script), str(source), str(out), str(workers)], start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (out / "00003_stats.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (out / ".00029.tar.torn").write_bytes(b"as a kill in the middle of a shard leaves it")
    left = len(list(out.glob("*_stats.json")))
    assert left < 30
    told = pack(str(source), out, options)
    assert left <= told.reused_shards < 30
    assert not list(out.glob(".*.tar.*"))
    pack(str(source), tmp_path / "whole", options)
    assert tars_of(out) == tars_of(tmp_path / "whole")
