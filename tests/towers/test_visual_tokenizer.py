"""The codebook against loops over its definition; how it learns from pictures; where it is kept."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from pieces_on_disk import checkpoint_of
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from sightword.errors import SightwordError
from sightword.losses.restoring import quantised_reconstruction
from sightword.towers.codebook import Codebook
from sightword.towers.visual_tokenizer import VqTokenizer, read_weights, stripped


def randoms(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def book(size: int = 6, width: int = 4, decay: float = 0.9) -> Codebook:
    torch.manual_seed(0)
    made = Codebook(size, width, decay).double()
    made.codes.copy_(F.normalize(randoms(size, width, seed=7), dim=1))
    return made


def pictures(count: int = 48, size: int = 16, seed: int = 0) -> Tensor:
    """Ramps between two colours, across or down: patches that differ, and that few numbers describe."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(0, 256, (2, count, 3, 1, 1), generator=generator).float()
    ramp = torch.linspace(0, 1, size).expand(count, 1, size, size).clone()
    ramp[::2] = ramp[::2].mT
    return (ends[0] + (ends[1] - ends[0]) * ramp).round().to(torch.uint8)


def tokenizer(size: int = 64, seed: int = 0) -> VqTokenizer:
    torch.manual_seed(seed)
    return VqTokenizer(patch_size=4, size=size, code_width=8, width=32)


def twin(predicted: Tensor, target: Tensor, features: Tensor, codes: Tensor, commitment: float) -> Tensor:
    """Numbers one by one; equation 3 of VQ-VAE without the term that moving averages replace."""
    error = torch.zeros((), dtype=torch.float64)
    for p, t in zip(predicted.flatten(), target.flatten().tolist(), strict=True):
        error = error + (p - t) ** 2 / predicted.numel()
    for feature, code in zip(features, codes.tolist(), strict=True):
        length = sum((x**2 for x in feature), torch.zeros((), dtype=torch.float64)) ** 0.5
        for x, c in zip(feature, code, strict=True):
            error = error + commitment * (x / length - c) ** 2 / features.numel()
    return error


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("commitment", [1.0, 0.25])
def test_the_loss_and_its_gradient_are_equation_3(
    dtype: torch.dtype, tolerance: float, commitment: float
) -> None:
    predicted, target, features = randoms(2, 3, 5), randoms(2, 3, 5, seed=1), randoms(6, 4, seed=2)
    codes = F.normalize(randoms(6, 4, seed=3), dim=1)
    slow = [predicted.clone().requires_grad_(), features.clone().requires_grad_()]
    fast = [x.detach().to(dtype).requires_grad_() for x in slow]
    expected = twin(slow[0], target, slow[1], codes, commitment)
    found = quantised_reconstruction(fast[0], target.to(dtype), fast[1], codes.to(dtype), commitment)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=tolerance)
    for a, b in zip(torch.autograd.grad(found, fast), torch.autograd.grad(expected, slow), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=tolerance)


def test_the_nearest_code_is_that_of_the_least_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightword.towers.codebook._ROWS", 4)  # several pieces
    codebook, features = book(), randoms(11, 4)
    _, chosen = codebook(features)
    for feature, found in zip(features.tolist(), chosen.tolist(), strict=True):
        length = math.sqrt(sum(x * x for x in feature))
        distances = [
            sum((x / length - c) ** 2 for x, c in zip(feature, code, strict=True))
            for code in codebook.codes.tolist()
        ]
        assert found == distances.index(min(distances))


def test_the_gradient_goes_straight_through_to_the_normalised_feature() -> None:
    codebook, features = book(), randoms(5, 4).requires_grad_()
    codes, chosen = codebook(features)
    assert torch.allclose(codes, codebook.codes[chosen])
    wanted = randoms(5, 4, seed=3)
    (codes - wanted).square().sum().backward()
    at_the_code = 2 * (codebook.codes[chosen] - wanted)
    unit, length = F.normalize(features.detach(), dim=1), features.detach().norm(dim=1, keepdim=True)
    along = (at_the_code * unit).sum(dim=1, keepdim=True) * unit
    assert features.grad is not None
    torch.testing.assert_close(features.grad, (at_the_code - along) / length)


def test_codes_follow_the_mean_direction_of_what_chose_them() -> None:
    codebook, features = book(), randoms(40, 4, seed=5)
    codebook.followed += 1  # as after a first batch, of which codes are drawn
    before = codebook.codes.tolist()
    chosen = codebook.nearest(features).tolist()
    codebook.follow(features)
    for k, code in enumerate(before):
        mine = [f for f, c in zip(features.tolist(), chosen, strict=True) if c == k]
        if mine:
            units = [[x / math.sqrt(sum(y * y for y in f)) for x in f] for f in mine]
            mean = [sum(column) / len(units) for column in zip(*units, strict=True)]
            length = math.sqrt(sum(x * x for x in mean))
            code = [0.9 * c + 0.1 * x / length for c, x in zip(code, mean, strict=True)]
            length = math.sqrt(sum(x * x for x in code))
            code = [x / length for x in code]
        assert codebook.codes[k].tolist() == pytest.approx(code, rel=1e-9)
    assert len(set(chosen)) > 1


def test_codes_begin_in_the_first_batch() -> None:
    codebook, features = book(decay=1.0), randoms(40, 4)
    codebook.follow(features)
    units = {tuple(row) for row in F.normalize(features, dim=1).tolist()}
    rows = {tuple(row) for row in codebook.codes.tolist()}
    assert len(rows) == 6
    for row in rows:
        assert any(row == pytest.approx(unit) for unit in units)


def test_dead_codes_start_again_and_always_in_the_same_places() -> None:
    """All features lie to one side: the codes of the other side are never chosen."""
    generator = torch.Generator().manual_seed(0)
    lobe = torch.tensor([4.0, 0, 0, 0]) + 0.5 * torch.randn(64, 4, generator=generator)
    torch.manual_seed(0)
    first, second = (Codebook(16, 4) for _ in "ab")
    for codebook in (first, second):
        codebook.codes.copy_(-F.normalize(lobe[:16], dim=1))
        codebook.codes[0] *= -1
        codebook.followed += 1
        used = [len(codebook.nearest(lobe).unique())]
        for _ in range(12):
            codebook.follow(lobe)
            used.append(len(codebook.nearest(lobe).unique()))
        assert used[0] == 1
        assert used[-1] >= 12
    assert torch.equal(first.codes, second.codes)
    torch.testing.assert_close(first.codes.norm(dim=1), torch.ones(16))


def test_it_learns_pictures_and_uses_many_codes() -> None:
    made = tokenizer()
    made.fit([pictures(seed=i) for i in range(60)], 60)
    assert float(made.explained) > 0.6
    fresh = pictures(seed=999)
    codes = made(fresh)
    assert codes.shape == (48, 16)
    assert len(codes.unique()) > 48  # of 64
    painted = made.paint(codes, (4, 4)).float()
    error, spread = (painted - fresh.float()).square().mean(), fresh.float().var()
    assert float(1 - error / spread) == pytest.approx(float(made.explained), abs=0.1)


def test_what_it_learns_is_a_function_of_pictures_and_first_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def learnt() -> VqTokenizer:
        made = tokenizer()
        torch.manual_seed(torch.seed())  # whatever was drawn before must not count
        made.fit([pictures(seed=i) for i in range(3)], 3)
        return made

    first, second = learnt(), learnt()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    whole = first(pictures())
    monkeypatch.setattr("sightword.towers.visual_tokenizer._ROWS", 7)
    assert torch.equal(first(pictures()), whole)


def test_nothing_of_it_asks_for_a_gradient_but_while_it_learns() -> None:
    made = tokenizer()
    assert not any(p.requires_grad for p in made.parameters())
    made.fit([pictures()], 1)
    assert not any(p.requires_grad for p in made.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        rough = made(pictures())
    assert torch.equal(rough, made(pictures())), "half precision must not choose the code"


def test_a_batch_is_learnt_in_steps_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightword.towers.visual_tokenizer._LEARNT", 16)
    made = tokenizer()
    made.fit([pictures(40), pictures(40, seed=1)], 2)
    assert int(made.codebook.followed) == 3 + 3


def test_it_is_found_in_a_file_and_in_a_run(tmp_path: Path) -> None:
    made = tokenizer(seed=3)
    made.explained.fill_(0.5)
    file = tmp_path / "own.safetensors"
    save_file(made.state_dict(), file)
    saved = {f"objectives.beit-2.tokenizer.{name}": t for name, t in made.state_dict().items()}
    for step, scale in ((5, 0.0), (10, 1.0)):  # the newest counts
        others = {"encoders.joint.logit_scale": torch.zeros(1), "objectives.beit-2.head.bias": torch.zeros(3)}
        tensors = {name: scale * t for name, t in saved.items()}
        checkpoint_of(tmp_path / "run", step, tensors | others)
    for place in (file, tmp_path / "run"):
        other = tokenizer(seed=4)
        other.load(place)
        assert torch.equal(other(pictures()), made(pictures()))
        assert float(other.explained) == 0.5


def test_a_checkpoint_that_lacks_a_piece_is_refused(tmp_path: Path) -> None:
    folder = checkpoint_of(tmp_path, 5, {f"tokenizer.{n}": t for n, t in tokenizer().state_dict().items()})
    index = json.loads((folder / "index.json").read_text())
    index["model/tokenizer.codebook.codes"]["pieces"].pop()
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(SightwordError, match=r"the pieces of .*codes' do not make up its shape \[64, 8\]"):
        tokenizer().load(tmp_path)
    (folder / "rank-00001.safetensors").unlink()
    index.pop("model/tokenizer.codebook.codes")
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(SightwordError, match=r"rank-00001.safetensors' cannot be read"):
        tokenizer().load(tmp_path)


def test_what_does_not_fit_is_said_in_one_line(tmp_path: Path) -> None:
    file, other = tmp_path / "other.safetensors", tmp_path / "clip.safetensors"
    save_file(tokenizer(size=32).state_dict(), file)
    with pytest.raises(SightwordError, match=r"codebook.codes is \(32, 8\), wanted \(64, 8\); .* try"):
        tokenizer().load(file)
    save_file({"towers.image.norm.weight": torch.ones(3)}, other)
    with pytest.raises(SightwordError, match=r"holds no visual tokenizer .* is not there"):
        tokenizer().load(other)
    with pytest.raises(SightwordError, match="holds no checkpoint"):
        tokenizer().load(tmp_path)
    with pytest.raises(SightwordError, match="there is no file or run"):
        read_weights(tmp_path / "missing.safetensors")
    file.write_bytes(b"\x80\x02cposix\nsystem\n.")
    with pytest.raises(SightwordError, match="no readable safetensors file"):
        read_weights(file)


def test_names_are_stripped_of_what_comes_before_the_landmark() -> None:
    tensors = {name: torch.zeros(1) for name in ("a.tok.book.codes", "a.tok.x", "a.head", "b.codes")}
    assert set(stripped(tensors, "book.codes")) == {"book.codes", "x"}
    assert set(stripped(tensors, "nothing")) == set(tensors)
