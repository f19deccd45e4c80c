"""Every kind of fault that the campaign makes: a name, and what it does to a good shard."""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from _faults import BLOCK, Good, Spoiled, hostile_sizes, info, more, stored, with_checksum, with_picture
from PIL import Image

Kind = Callable[[Good, np.random.Generator], Spoiled]
GNU, PAX = tarfile.GNU_FORMAT, tarfile.PAX_FORMAT


def flip(data: bytes, at: int, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def flipped_header(good: Good, rng: np.random.Generator) -> Spoiled:
    piece = good.pieces[rng.integers(len(good.pieces))]
    at = int(rng.integers(piece.header, piece.header + BLOCK))
    return good.without_bytes(flip(good.content, at, rng), at, at + 1)


def flipped_anywhere(good: Good, rng: np.random.Generator) -> Spoiled:
    content, places = good.content, rng.integers(0, len(good.content), int(rng.integers(1, 6))).tolist()
    for at in places:
        content = flip(content, at, rng)
    keys = {piece.key for piece in good.pieces for at in places if piece.start <= at < piece.end}
    return good.spoiled(content, *keys)


def flipped_words(good: Good, rng: np.random.Generator) -> Spoiled:
    small = [piece for piece in good.pieces if piece.end - piece.data < 80]
    piece = small[rng.integers(len(small))]
    at = int(rng.integers(piece.data, piece.end))
    return good.without_bytes(good.content[:at] + b"\xe9" + good.content[at + 1 :], at, at + 1)


def cut(good: Good, rng: np.random.Generator) -> Spoiled:
    at = int(rng.integers(len(good.content)))
    return good.without_bytes(good.content[:at], at, len(good.content))


def cut_at_block(good: Good, rng: np.random.Generator) -> Spoiled:
    at = int(rng.integers(len(good.content) // BLOCK)) * BLOCK
    return good.without_bytes(good.content[:at], at, len(good.content))


def lost_piece(good: Good, rng: np.random.Generator) -> Spoiled:
    first = int(rng.integers(good.pieces[-1].end))
    last = first + int(rng.integers(1, 4000))
    return good.without_bytes(good.content[:first] + good.content[last:], first, last)


def garbage(good: Good, rng: np.random.Generator) -> Spoiled:
    at, noise = int(rng.integers(good.pieces[-1].end)), rng.bytes(int(rng.integers(1, 3000)))
    return good.without_bytes(good.content[:at] + noise + good.content[at:], at, at + 1)


def overwritten(good: Good, rng: np.random.Generator) -> Spoiled:
    first = int(rng.integers(good.pieces[-1].end))
    last = min(len(good.content), first + int(rng.integers(1, 5000)))
    filler = bytes(last - first) if rng.random() < 0.5 else rng.bytes(last - first)
    return good.without_bytes(good.content[:first] + filler + good.content[last:], first, last)


def swapped_headers(good: Good, rng: np.random.Generator) -> Spoiled:
    one, other = (good.pieces[i] for i in sorted(rng.choice(len(good.pieces), 2, replace=False).tolist()))
    content = bytearray(good.content)
    first, second = content[one.header : one.data], content[other.header : other.data]
    content[one.header : one.data], content[other.header : other.data] = second, first
    keys = {one.key, other.key}
    for piece, claimed in ((one, other), (other, one)):  # what the exchanged sizes take in
        end = piece.data + claimed.end - claimed.data
        keys |= {p.key for p in good.pieces if p.start >= piece.data and p.start < end}
    return good.spoiled(bytes(content), *keys)


def repeated_member(good: Good, rng: np.random.Generator) -> Spoiled:
    number = int(rng.integers(len(good.pieces) - 1))
    piece, after = good.pieces[number], good.pieces[number + 1].start
    again = good.content[piece.start : after]
    return good.spoiled(good.content[:after] + again + good.content[after:])


def repeated_header(good: Good, rng: np.random.Generator) -> Spoiled:
    piece = good.pieces[rng.integers(len(good.pieces))]
    header = good.content[piece.header : piece.data]
    return good.without_bytes(
        good.content[: piece.data] + header + good.content[piece.data :], piece.start, piece.end
    )


def resized(good: Good, rng: np.random.Generator, size: bytes) -> Spoiled:
    """Another size in a header that is otherwise sound."""
    piece = good.pieces[rng.integers(len(good.pieces))]
    header = good.content[piece.header : piece.data]
    changed = with_checksum(header[:124] + size + header[136:])
    return good.spoiled(good.content[: piece.header] + changed + good.content[piece.data :], piece.key)


def hostile_octal(good: Good, rng: np.random.Generator) -> Spoiled:
    size = int(rng.choice([8**11 - 1, 2**31, 2**20 + 3]))
    return resized(good, rng, b"%011o\0" % size)


def hostile_text(good: Good, rng: np.random.Generator) -> Spoiled:
    sizes = [b"-0000000001\0", b"99999999999\0", b"0x000000010\0", b" " * 12, b"\0" * 12, b"00000000-10\0"]
    return resized(good, rng, sizes[rng.integers(len(sizes))])


def hostile_base256(good: Good, rng: np.random.Generator) -> Spoiled:
    sizes = [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"\xff" + bytes(11), b"\x80" + bytes(3) + b"\x7f" * 8]
    return resized(good, rng, sizes[rng.integers(len(sizes))])


def inserted(
    good: Good, rng: np.random.Generator, *members: tuple[tarfile.TarInfo, bytes], format: int = GNU
) -> Spoiled:
    """Members of another hand, before one of the good ones: none of those is touched."""
    starts = [n for n, (a, b) in enumerate(pairwise([None, *good.pieces])) if a is None or a.key != b.key]
    return good.spoiled(more(good, list(members), int(rng.choice(starts)), format))


def pax_records(good: Good, rng: np.random.Generator) -> Spoiled:
    records = [
        b"99999999999 size=1\n", b"-5 size=1\n", b"12 size=-7\n\n", b"20 size=9999999999\n\n", b"nonsense",
        b"11 path=\xff\n", b"0 a=b\n", b"\xc2\xb2\xc2\xb2 path=x\n", b"9" * 5000,
        b"30 mtime=1e999999999999999\n",
    ]  # fmt: skip
    record = records[rng.integers(len(records))]
    header = info("pax", len(record), type=b"x"), record
    return inserted(good, rng, header, (info("stranger.md", 3), b"abc"))


def long_name(good: Good, rng: np.random.Generator) -> Spoiled:
    name = (b"n" * int(rng.choice([1, 5000, 200_000]))) + b".txt\0"
    return inserted(good, rng, (info("././@LongLink", len(name), type=b"L"), name), (info("x.md", 1), b"x"))


def strange_names(good: Good, rng: np.random.Generator) -> Spoiled:
    names = [
        "../../../../etc/stranger",
        "/etc/stranger",
        "C:\\stranger",
        "a\nb",
        "..",
        ".",
        "\udcff\udce9",
        "\u202e",
        "con",
    ]
    name = names[rng.integers(len(names))]
    png = stored(Image.new("RGB", (9, 9), "red"), "PNG")
    return inserted(good, rng, (info(f"{name}.png", len(png)), png), (info(f"{name}.txt", 3), b"red"))


def links(good: Good, rng: np.random.Generator) -> Spoiled:
    kind = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, b"Z"]
    member = info("link.jpg", type=kind[rng.integers(len(kind))], linkname="/etc/hostname")
    return inserted(good, rng, (member, b""))


def joined(good: Good, rng: np.random.Generator) -> Spoiled:
    return good.spoiled(good.content + good.content[: good.pieces[int(rng.integers(1, 4))].start])


def no_tar(good: Good, rng: np.random.Generator) -> Spoiled:
    contents = [
        b"",
        b"<html>404</html>",
        bytes(1),
        bytes(5000),
        b"\x1f\x8b" + rng.bytes(3000),
        rng.bytes(9000),
    ]
    return good.spoiled(contents[rng.integers(len(contents))], *good.samples)


def json_bomb(good: Good, rng: np.random.Generator) -> Spoiled:
    texts = [
        b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' + b"9" * 100_000 + b"}", b'{"a": NaN}',
        b'{"split": "\\ud800", "captions": ["\\udfff", 3, null, [[]]]}', b'{"a": 1e999}', b"null",
        b"\xff\xfe{",
        b'{"split": {"a": 1}, "captions": "x"}', b'{"captions": ' + b"[" * 50_000,
        b"{" + b" " * 200_000 + b"}",
    ]  # fmt: skip
    text = texts[rng.integers(len(texts))]
    png = stored(Image.new("RGB", (9, 9), "red"), "PNG")
    members = (
        (info("bomb.png", len(png)), png),
        (info("bomb.txt", 3), b"red"),
        (info("bomb.json", len(text)), text),
    )
    return inserted(good, rng, *members)


def caption_bytes(good: Good, rng: np.random.Generator) -> Spoiled:
    texts = [
        "caf\u00e9".encode("latin-1"),
        b"\xff\xfea\0",
        b"\xed\xa0\x80",
        b"\0" * 50,
        b"x" * 300_000,
        "\ufeff \n".encode(),
    ]
    text = texts[rng.integers(len(texts))]
    png = stored(Image.new("RGB", (9, 9), "red"), "PNG")
    return inserted(good, rng, (info("words.png", len(png)), png), (info("words.txt", len(text)), text))


def pictured(good: Good, rng: np.random.Generator, change: Callable[[bytes], bytes]) -> Spoiled:
    keys = list(good.samples)
    return with_picture(good, change, keys[rng.integers(len(keys))])


def picture_bits(good: Good, rng: np.random.Generator) -> Spoiled:
    def change(file: bytes) -> bytes:
        for _ in range(int(rng.integers(1, 8))):
            top = len(file) if rng.random() < 0.6 else min(len(file), 200)
            file = flip(file, int(rng.integers(top)), rng)
        return file

    return pictured(good, rng, change)


def picture_cut(good: Good, rng: np.random.Generator) -> Spoiled:
    return pictured(good, rng, lambda file: file[: int(rng.integers(len(file)))])


def picture_header(good: Good, rng: np.random.Generator) -> Spoiled:
    others = list(good.samples.values())
    size = int(rng.integers(4, 64))
    return pictured(good, rng, lambda file: others[rng.integers(len(others))][0][:size] + file[size:])


def picture_piece(good: Good, rng: np.random.Generator) -> Spoiled:
    def change(file: bytes) -> bytes:
        start, length = int(rng.integers(len(file))), int(rng.integers(1, 300))
        piece = file[start : start + length]
        return file[:start] + (piece * 2 if rng.random() < 0.5 else b"") + file[start + length :]

    return pictured(good, rng, change)


def picture_size(good: Good, rng: np.random.Generator) -> Spoiled:
    sides = rng.choice([0, 1, 7, 255, 4000, 50_000, 65_535, 2**31 - 1, 2**32 - 1], 2).tolist()
    return pictured(good, rng, lambda file: hostile_sizes(file, (sides[0], sides[1])))


def picture_length(good: Good, rng: np.random.Generator) -> Spoiled:
    """Another length in a chunk or a segment."""

    def change(file: bytes) -> bytes:
        length = int(rng.choice([0, 1, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
        at = int(rng.integers(2, max(3, min(len(file) - 4, 160))))
        kind = ">I" if file[:1] == b"\x89" else "<I"
        at = 8 if file[:1] == b"\x89" and rng.random() < 0.5 else at
        return file[:at] + struct.pack(kind, length) + file[at + 4 :]

    return pictured(good, rng, change)


def no_picture(good: Good, rng: np.random.Generator) -> Spoiled:
    files = [
        b"", b"<html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(999), b"P6 9999999 9999999 255\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0\0\0\x18ftypheic" + bytes(99), b"PK\3\4" + bytes(50),
    ]  # fmt: skip
    return pictured(good, rng, lambda file: files[rng.integers(len(files))])


def sidecar_bits(good: Good, rng: np.random.Generator) -> Spoiled:
    spoiled = good.spoiled(good.content)

    def change(index: bytes) -> bytes:
        for _ in range(int(rng.integers(1, 5))):
            index = flip(index, int(rng.integers(len(index))), rng)
        return index

    spoiled.sidecar = change
    return spoiled


def sidecar_cut(good: Good, rng: np.random.Generator) -> Spoiled:
    spoiled = good.spoiled(good.content)
    spoiled.sidecar = lambda index: index[: int(rng.integers(len(index)))]
    return spoiled


def sidecar_noise(good: Good, rng: np.random.Generator) -> Spoiled:
    spoiled = good.spoiled(good.content)

    def change(index: bytes) -> bytes:
        start, length = int(rng.integers(len(index))), int(rng.integers(1, 200))
        return index[:start] + rng.bytes(length) + index[start + length :]

    spoiled.sidecar = change
    return spoiled


KINDS: dict[str, Kind] = {
    function.__name__.replace("_", " "): function
    for function in (
        flipped_header, flipped_anywhere, flipped_words, cut, cut_at_block, lost_piece, garbage, overwritten,
        swapped_headers, repeated_member, repeated_header, hostile_octal, hostile_text, hostile_base256,
        pax_records, long_name, strange_names, links, joined, no_tar, json_bomb, caption_bytes,
        picture_bits, picture_cut, picture_header, picture_piece, picture_size, picture_length, no_picture,
        sidecar_bits, sidecar_cut, sidecar_noise,
    )
}  # fmt: skip
