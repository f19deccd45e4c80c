"""DALL-E's encoder against a plain functional twin with the published names; what is read of a pickle."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest
import torch
from pieces_on_disk import checkpoint_of
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from sightword.errors import SightwordError
from sightword.towers.dvae import DalleTokenizer, map_pixels, read_pickled

WIDTH, CODES = 8, 24


class Conv2d(nn.Module):
    """Weights under the published names `w` and `b`."""

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(after, before, kernel, kernel) / (before * kernel**2) ** 0.5)
        self.b = nn.Parameter(0.1 * torch.randn(after))
        self.device = torch.device("cpu")  # the published modules carry such attributes along

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.w, self.b, padding=self.w.shape[-1] // 2)


class EncoderBlock(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        hidden = after // 4
        self.id_path = Conv2d(before, after, 1) if before != after else nn.Identity()
        self.res_path = nn.Sequential()
        shapes = [(before, hidden, 3), (hidden, hidden, 3), (hidden, hidden, 3), (hidden, after, 1)]
        for i, shape in enumerate(shapes, 1):
            self.res_path.add_module(f"relu_{i}", nn.ReLU())
            self.res_path.add_module(f"conv_{i}", Conv2d(*shape))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i in (1, 2, 3, 4):
            y = getattr(self.res_path, f"conv_{i}")(F.relu(y))
        return self.id_path(x) + y / 64  # eight blocks, squared


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential()
        self.blocks.add_module("input", Conv2d(3, WIDTH, 7))
        before = WIDTH
        for group, after in enumerate((WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH), 1):
            part = nn.Sequential()
            part.add_module("block_1", EncoderBlock(before, after))
            part.add_module("block_2", EncoderBlock(after, after))
            if group < 4:
                part.add_module("pool", nn.MaxPool2d(kernel_size=2))
            self.blocks.add_module(f"group_{group}", part)
            before = after
        output = nn.Sequential()
        output.add_module("relu", nn.ReLU())
        output.add_module("conv", Conv2d(before, CODES, 1))
        self.blocks.add_module("output", output)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks.input(x)
        for group in (1, 2, 3, 4):
            part = getattr(self.blocks, f"group_{group}")
            x = part.block_2(part.block_1(x))
            x = F.max_pool2d(x, 2) if group < 4 else x
        return self.blocks.output.conv(F.relu(x))


def images(size: int, count: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Encoder, Path]:
    """A pickled module whose classes have the published names, as `torch.save` writes it."""
    monkeypatch.setitem(sys.modules, "dall_e", types.ModuleType("dall_e"))
    for module, kinds in (("dall_e.encoder", (Encoder, EncoderBlock)), ("dall_e.utils", (Conv2d,))):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        for kind in kinds:
            monkeypatch.setattr(kind, "__module__", module)
            setattr(sys.modules[module], kind.__name__, kind)
    torch.manual_seed(0)
    encoder, file = Encoder(), tmp_path / "encoder.pkl"
    with torch.no_grad():  # so that many codes are used
        output = encoder.blocks.output.conv
        output.b -= encoder(images(16).float() / 255 * 0.8 + 0.1).mean(dim=(0, 2, 3))
    torch.save(encoder, file)
    return encoder, file


def test_a_pickled_module_gives_the_same_codes(
    published: tuple[Encoder, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, file = published
    for module in ("dall_e.encoder", "dall_e.utils"):
        monkeypatch.delitem(sys.modules, module)  # nothing of that package is needed
    tokenizer = DalleTokenizer((2, 2), WIDTH, CODES)
    tokenizer.load(file)
    pictures = images(16)
    pixels = pictures.float() / 255 * 0.8 + 0.1
    torch.testing.assert_close(map_pixels(pictures.float() / 255), pixels)
    expected = encoder(pixels).detach()
    assert expected.shape == (5, CODES, 2, 2)
    torch.testing.assert_close(tokenizer.logits(pixels), expected)
    assert torch.equal(tokenizer(pictures), expected.argmax(dim=1).flatten(1))
    assert len(tokenizer(pictures).unique()) > 3
    monkeypatch.setattr("sightword.towers.dvae._ROWS", 2)
    assert torch.equal(tokenizer(pictures), expected.argmax(dim=1).flatten(1))


def test_its_state_dict_as_safetensors_and_a_runs_checkpoint_do_as_well(
    published: tuple[Encoder, Path], tmp_path: Path
) -> None:
    encoder, file = published
    first, second, third = (DalleTokenizer((2, 2), WIDTH, CODES) for _ in range(3))
    first.load(file)
    save_file(encoder.state_dict(), tmp_path / "published.safetensors")
    second.load(tmp_path / "published.safetensors")
    kept = {f"objectives.beit.tokenizer.{name}": t for name, t in first.state_dict().items()}
    checkpoint_of(tmp_path / "run", 3, kept | {"objectives.beit.head.weight": torch.zeros(2)})
    third.load(tmp_path / "run")
    for other in (second, third):
        for name, tensor in first.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name


def test_the_published_size_is_the_default() -> None:
    with torch.device("meta"):
        whole = DalleTokenizer((14, 14))
    assert whole.size == 8192
    assert sum(p.numel() for p in whole.parameters()) == 53_786_240  # counted in the released code
    assert not any(p.requires_grad for p in whole.parameters())


def test_pictures_are_brought_to_eight_pixels_a_code() -> None:
    torch.manual_seed(0)
    tokenizer = DalleTokenizer((2, 3), WIDTH, CODES)
    flat = torch.full((1, 3, 32, 48), 200, dtype=torch.uint8)
    pixels = tokenizer._pixels(flat)
    assert pixels.shape == (1, 3, 16, 24)
    torch.testing.assert_close(pixels, torch.full_like(pixels, 200 / 255 * 0.8 + 0.1))
    assert tokenizer(flat).shape == (1, 6)


class Hostile:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def test_a_hostile_pickle_is_refused_and_not_executed(
    tmp_path: Path, published: tuple[Encoder, Path]
) -> None:
    file, trace = tmp_path / "hostile.pkl", tmp_path / "trace"
    encoder, _ = published
    encoder.blocks.output.note = Hostile(trace)  # deep inside something that looks right
    torch.save(encoder, file)
    with pytest.raises(
        SightwordError, match=r"asks for posix.system.*nothing else is unpickled.*try"
    ) as said:
        read_pickled(file)
    assert "\n" not in str(said.value)
    assert not trace.exists()
    torch.load(file, weights_only=False)
    assert trace.exists(), "the file would have done it"


@pytest.mark.parametrize("content", [b"hello", b"", b"\x80\x02cbuiltins\neval\n."])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "encoder.pkl"
    file.write_bytes(content)
    with pytest.raises(SightwordError, match=r"is not the published encoder\.pkl") as said:
        read_pickled(file)
    assert "\n" not in str(said.value)


def test_other_contents_are_refused(tmp_path: Path, published: tuple[Encoder, Path]) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "dict.pkl")
    with pytest.raises(SightwordError, match="holds no module but dict"):
        read_pickled(tmp_path / "dict.pkl")
    wider = DalleTokenizer((2, 2), 2 * WIDTH, CODES)
    with pytest.raises(
        SightwordError, match=r"blocks.input.weight is \(8, 3, 7, 7\), wanted \(16, 3, 7, 7\)"
    ):
        wider.load(published[1])
