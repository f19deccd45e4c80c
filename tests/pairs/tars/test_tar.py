from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.pairs.tars.tar import Tar

FILES = {
    "a.txt": b"short",
    "empty.txt": b"",
    "folder/" * 20 + "b.jpg": bytes(range(256)) * 40,
    "deep/" * 60 + "long-name.json": b"{}",
    "\u00e9\u732b.txt": b"x" * 512,
}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_and_their_bytes_are_those_of_tarfile(make_tar, format):
    files = {name: data for name, data in FILES.items() if format != tarfile.USTAR_FORMAT or len(name) < 250}
    path = make_tar("a.tar", files, format)
    tar = Tar(path)
    found = [(member.name, tar.read(member.offset, member.size)) for member in tar.members()]
    with tarfile.open(path) as theirs:
        assert found == [(info.name, theirs.extractfile(info).read()) for info in theirs]
    assert len(found) == len(files)


def test_head_is_the_beginning_of_the_data(make_tar):
    members = list(Tar(make_tar("a.tar", FILES, tarfile.GNU_FORMAT)).members())
    assert len(members) == len(FILES)
    for member in members:
        assert FILES[member.name].startswith(member.head)
        assert member.size > 3000 or member.head == FILES[member.name]


def test_links_are_not_regular_and_folders_are_passed_over(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in [("d", tarfile.DIRTYPE), ("s.jpg", tarfile.SYMTYPE), ("h.jpg", tarfile.LNKTYPE)]:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "else.jpg" if kind != tarfile.DIRTYPE else ""
            tar.addfile(info)
    assert [(member.name, member.regular) for member in Tar(path).members()] == [
        ("s.jpg", False),
        ("h.jpg", False),
    ]


def test_a_size_in_base_256_is_read(make_tar):
    path = make_tar("a.tar", {"a.txt": b"hello", "b.txt": b"world"})
    data = bytearray(path.read_bytes())
    data[124:136] = b"\x80" + (5).to_bytes(11, "big")
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    path.write_bytes(data)
    assert [(member.name, member.size) for member in Tar(path).members()] == [("a.txt", 5), ("b.txt", 5)]


def test_a_tar_cut_at_any_byte_is_refused(make_tar):
    whole = make_tar(
        "whole.tar", {"a.txt": b"x" * 700, "b.txt": b"y" * 512, "c.txt": b""}, tarfile.PAX_FORMAT
    )
    with tarfile.open(whole) as tar:
        needed = tar.getmembers()[-1].offset_data + tarfile.BLOCKSIZE  # the last file is empty; zeros end it
    data, cut = whole.read_bytes(), whole.with_name("cut.tar")
    for length in [*range(1, needed, 61), *range(0, needed, 512), needed - 1]:
        cut.write_bytes(data[:length])
        with pytest.raises(SightwordError) as error:
            list(Tar(cut).members())
        assert str(cut) in str(error.value)
        if length >= 512:
            assert f"ends at byte {length:,}" in str(error.value)
    cut.write_bytes(data[:needed])
    assert len(list(Tar(cut).members())) == 3


def test_a_damaged_header_is_refused_with_its_place(make_tar):
    path = make_tar("a.tar", {"a.txt": b"hello", "b.txt": b"world"})
    data = bytearray(path.read_bytes())
    data[1024 + 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(SightwordError, match=r"is damaged: no tar header at byte 1,024"):
        list(Tar(path).members())


@pytest.mark.parametrize("size", [b"-0000000001\0", b"-0000001000\0", b"00000_00010\0"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_size_with_a_sign_never_leads_backwards(make_tar, size, number):
    path = make_tar("a.tar", {"a.txt": b"hello", "b.txt": b"world"})
    data = bytearray(path.read_bytes())
    at = 1024 * number
    data[at + 124 : at + 136] = size
    data[at + 148 : at + 156] = b"%06o\0 " % (
        sum(data[at : at + 148]) + 8 * 32 + sum(data[at + 156 : at + 512])
    )
    path.write_bytes(data)
    with pytest.raises(SightwordError, match=r"is damaged|is not a tar"):
        list(Tar(path).members())


def test_a_pax_length_of_thousands_of_digits_is_passed_over(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, data in [("pax", tarfile.XHDTYPE, b"9" * 5000), ("a.txt", tarfile.REGTYPE, b"hi")]:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            tar.addfile(info, io.BytesIO(data))
    assert [(member.name, member.size) for member in Tar(path).members()] == [("a.txt", 2)]


@pytest.mark.parametrize("size", [b"-5", b"x", b"9" * 30])
def test_a_senseless_pax_size_is_refused(tmp_path, size):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.txt")
        info.pax_headers = {"size": size.decode()}
        tar.addfile(info, io.BytesIO())
    with pytest.raises(SightwordError, match=r"damaged|cut short"):
        list(Tar(path).members())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ends at byte 0"),
        (b"hello", "is not a tar"),
        (b"PK\x03\x04" + b"z" * 2000, "is not a tar"),
        (gzip.compress(b"x" * 5000, mtime=0), "gunzip -k"),
    ],
)
def test_what_is_not_a_tar_is_refused(tmp_path: Path, content, says):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(SightwordError, match=says):
        list(Tar(path).members())


def test_a_second_tar_behind_the_first_is_refused(make_tar):
    first, second = make_tar("a.tar", {"a.txt": b"1"}), make_tar("b.tar", {"b.txt": b"2"})
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(SightwordError, match=r"first\.tar::second\.tar"):
        list(Tar(first).members())


def test_a_tar_that_shrinks_while_open_is_refused(make_tar):
    path = make_tar("a.tar", {"a.txt": b"hello"})
    tar = Tar(path)
    (member,) = tar.members()
    path.write_bytes(path.read_bytes()[: member.offset + 2])
    with pytest.raises(SightwordError, match="shorter"):
        tar.read(member.offset, member.size)


def test_a_cut_inside_a_file_names_it_and_what_it_needs(make_tar):
    path = make_tar("a.tar", {"a.txt": b"hello", "b.jpg": b"y" * 5000})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SightwordError, match=r"ends at byte 3,000 inside 'b\.jpg', which needs 6,536 bytes"):
        list(Tar(path).members())
