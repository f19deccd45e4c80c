from __future__ import annotations

import shutil
import subprocess
import tarfile

import pytest
from small_packages import ar, deb_package, npm_package, packed

from sightword.corpora.building import archives
from sightword.corpora.building.archives import Member, open_archive
from sightword.errors import SightwordError

FILES = {"a.txt": b"one", "deep/b.svg": b"two" * 1000}


def everything(_: str) -> bool:
    return True


def test_an_npm_package_says_what_it_is_and_shows_its_files(tmp_path):
    archive = open_archive(npm_package(tmp_path / "any-name.bin", "@some/thing", "1.2.3", FILES))
    assert (archive.package, archive.version, archive.source) == ("@some/thing", "1.2.3", "@some/thing@1.2.3")
    found = {member.name: member.content for member in archive.members(everything)}
    assert found.pop("package.json")
    assert found == FILES
    assert archive.read("deep/b.svg") == FILES["deep/b.svg"]
    assert list(archive.members(lambda name: name == "a.txt")) == [Member("a.txt", b"one")]


def test_a_deb_says_what_it_is_and_shows_links_without_following_them(tmp_path):
    path = deb_package(tmp_path / "x.deb", "art", "1:0.18-1", FILES, links={"deep/c.svg": "/etc/passwd"})
    archive = open_archive(path)
    assert archive.source == "art@1:0.18-1"
    found = {member.name: (member.content, member.link) for member in archive.members(everything)}
    assert found == {name: (data, False) for name, data in FILES.items()} | {"deep/c.svg": (b"", True)}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_a_deb_made_by_debians_own_tool_reads_the_same(tmp_path):
    tree = tmp_path / "tree"
    for name, data in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        "Package: real\nVersion: 2.0-1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n"
    )
    made = tmp_path / "real.deb"
    subprocess.run(["dpkg-deb", "-Zxz", "--build", tree, made], check=True, capture_output=True)
    archive = open_archive(made)
    assert archive.source == "real@2.0-1"
    assert {member.name: member.content for member in archive.members(everything)} == FILES


def test_names_that_climb_out_are_only_names(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    path = npm_package(inside / "p.tgz", "p", "1.0.0", {"../../../escaped.txt": b"x"})
    found = [member.name for member in open_archive(path).members(everything)]
    assert "../../../escaped.txt" in found
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "p.tgz"]


def test_a_file_too_large_to_be_honest_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 2000)
    archive = open_archive(npm_package(tmp_path / "p.tgz", "p", "1.0.0", FILES))
    with pytest.raises(SightwordError, match=r"deep/b\.svg.* has 3,000 bytes, more than 2,000"):
        list(archive.members(everything))


def test_damage_is_told_in_one_line(tmp_path):
    whole = npm_package(tmp_path / "p.tgz", "p", "1.0.0", {"big": bytes(range(256)) * 4000}).read_bytes()
    for name, content in {
        "cut.tgz": whole[: len(whole) // 2],
        "text.tgz": b"not an archive at all" * 100,
        "empty.tgz": b"",
        "headless.deb": b"!<arch>\nrubbish",
        "partless.deb": ar({"debian-binary": b"2.0\n"}),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SightwordError, match=name) as error:
            list(open_archive(tmp_path / name).members(everything))
        assert "\n" not in str(error.value)
    with pytest.raises(SightwordError, match="cannot read"):
        open_archive(tmp_path / "missing.tgz")


def test_packages_that_do_not_name_themselves_are_refused(tmp_path):
    nameless = tmp_path / "nameless.tgz"
    nameless.write_bytes(packed({"package/package.json": b"{}"}))
    with pytest.raises(SightwordError, match=r"damaged package\.json"):
        open_archive(nameless)
    zst = tmp_path / "zst.deb"
    zst.write_bytes(ar({"control.tar.zst": b"x"}))
    with pytest.raises(SightwordError, match="zstd"):
        open_archive(zst)
    with pytest.raises(SightwordError, match="holds no 'other'"):
        open_archive(npm_package(tmp_path / "p.tgz", "p", "1.0.0", FILES)).read("other")
    assert tarfile.is_tarfile(tmp_path / "p.tgz")
