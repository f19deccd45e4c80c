"""Towers of the installed timm and transformers: what they promise, runs with them, their weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import tokenizers
import torch
from safetensors.torch import save_file
from tiny_runs import newest_files, shard, stop_at, tiny
from torch import nn

from sightword.cli import configure
from sightword.cli import flags as given
from sightword.config import Config, ImageTowerConfig, from_toml, to_toml
from sightword.errors import SightwordError
from sightword.recipes import borrowed, models
from sightword.towers.base import ImageTower
from sightword.towers.build import build_image
from sightword.towers.locking import lock
from sightword.training.loop import resume_training, train
from sightword.training.model import load_model
from sightword.training.setup import build_pretrainer
from sightword.words import Words

Peer = Callable[[str], ModuleType]
VIT = {
    "model_type": "vit", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "image_size": 16, "patch_size": 4,
}  # fmt: skip
CONVNEXT = {
    "model_type": "convnext",
    "hidden_sizes": [8, 12],
    "depths": [1, 1],
    "num_stages": 2,
    "image_size": 32,
}
BERT = {
    "model_type": "bert", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "vocab_size": 40, "max_position_embeddings": 12, "hidden_dropout_prob": 0.1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """As runs compute: float32, unlike the other peers' tests."""
    return iter([None])


def pictures(tower: ImageTower, rows: int = 2) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 256, (rows, 3, tower.facts.size, tower.facts.size), dtype=torch.uint8)


def folder(path: Path, told: dict[str, object], **files: object) -> str:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in {"config": told, **files}.items():
        (path / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return f"hf:{path}"


def check_promises(tower: ImageTower) -> None:
    answer, facts = tower.eval()(pictures(tower)), tower.facts
    assert answer.pooled.shape == (2, facts.width)
    assert answer.tokens.shape == (2, facts.grid[0] * facts.grid[1], facts.token_width)
    assert not facts.maskable
    assert tower.mixes_batch == any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in tower.modules())
    hidden = torch.zeros(2, facts.grid[0] * facts.grid[1], dtype=torch.bool)
    with pytest.raises(SightwordError, match="cannot hide patches"):
        tower(pictures(tower), hidden)


@pytest.mark.parametrize("name", ["resnet18", "test_vit", "test_convnext", "test_efficientnet"])
def test_networks_of_timm(peer: Peer, name: str, tmp_path: Path) -> None:
    """Features are timm's own, its weights go in by their names, and the configuration is enough."""
    timm = peer("timm")
    config = models.find(f"timm:{name}").image
    assert config.mean == tuple(timm.get_pretrained_cfg(name).mean)
    tower = build_image(from_toml(ImageTowerConfig, to_toml(config)))
    check_promises(tower)
    torch.manual_seed(5)
    theirs = timm.create_model(name, pretrained=False).eval()
    named = {n: t for n, t in theirs.state_dict().items() if "trunk." + n in tower.state_dict()}
    tower.load_state_dict({f"trunk.{n}": t for n, t in named.items()})
    images = pictures(tower)
    expected = theirs.forward_head(theirs.forward_features(tower.normalise(images)), pre_logits=True)
    torch.testing.assert_close(tower(images).pooled, expected, rtol=1e-5, atol=1e-5)
    groups = tower.groups
    lock(tower, 1)
    own = {id(p) for module in groups[-1] for p in module.parameters()}
    learning = [p for p in tower.parameters() if p.requires_grad]
    assert learning
    assert {id(p) for p in learning} == own
    assert len(groups) > 2


def test_a_seed_draws_the_same_weights(peer: Peer) -> None:
    peer("timm")
    config = models.find("timm:test_vit").image
    towers = []
    for _ in range(2):
        torch.manual_seed(3)
        towers.append(build_image(config).state_dict())
    assert all(torch.equal(towers[0][name], towers[1][name]) for name in towers[0])


def test_names_that_timm_does_not_know(peer: Peer) -> None:
    peer("timm")
    with pytest.raises(SightwordError, match=r"did you mean.*convnext_tiny"):
        models.find("timm:convnext_tny")


@pytest.mark.parametrize("told", [VIT, CONVNEXT], ids=["vit", "convnext"])
def test_image_encoders_of_transformers(peer: Peer, told: dict[str, object], tmp_path: Path) -> None:
    transformers = peer("transformers")
    ready = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "resample": 3}
    config = models.find(folder(tmp_path / "one", told, preprocessor_config=ready)).image
    assert (config.mean, config.interpolation) == ((0.5, 0.4, 0.3), "bicubic")
    tower = build_image(from_toml(ImageTowerConfig, to_toml(config)))
    check_promises(tower)
    images = pictures(tower)
    theirs = tower.trunk
    kind = transformers.AutoModel.from_config(theirs.config)
    assert type(kind) is type(theirs)
    found = theirs(pixel_values=tower.normalise(images))
    pooled = found.last_hidden_state[:, 0] if told is VIT else found.pooler_output.flatten(1)
    torch.testing.assert_close(tower(images).pooled, pooled, rtol=1e-5, atol=1e-5)
    assert len(tower.groups) == 2
    lock(tower, 1)
    assert {n.split(".")[1] for n, p in tower.named_parameters() if p.requires_grad}


def words_of(path: Path, size: int = 38) -> None:
    """A tokenizer of whole words that frames texts as BERT's."""
    vocab = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "red": 5, "small": 6}
    vocab |= {f"w{i}": i for i in range(len(vocab), size)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="[UNK]"))
    inner.normalizer = tokenizers.normalizers.Lowercase()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    frame = [("[CLS]", 1), ("[SEP]", 2)]
    inner.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=frame)
    (path / "tokenizer.json").write_text(inner.to_str())


def with_bert(config: Config, path: Path) -> Config:
    place = folder(path, BERT)
    words_of(path)
    return borrowed.with_text(config, place)


def test_captions_are_encoded_as_transformers_does(peer: Peer, tmp_path: Path) -> None:
    transformers = peer("transformers")
    config = with_bert(Config(), tmp_path / "bert")
    model = build_pretrainer(config, tokenizer := borrowed.BorrowedTokenizer.from_file(
        tmp_path / "bert" / "tokenizer.json", config.model.text.context
    ))  # fmt: skip
    tower = model.encoders.towers["text"].eval()
    texts = ["a Red small w9", "w8", "a " * 30]
    words = tokenizer(texts)
    assert words.lengths.tolist() == [6, 3, 12]
    theirs = transformers.BertModel(tower.trunk.config, add_pooling_layer=False).eval()
    theirs.load_state_dict(tower.trunk.state_dict())
    for row, length in zip(words.ids, words.lengths, strict=True):
        alone = theirs(input_ids=row[None, :length]).last_hidden_state
        found = tower(Words(words.ids, words.lengths)).pooled[words.ids.eq(row).all(1)]
        torch.testing.assert_close(found, alone.mean(1), rtol=1e-4, atol=1e-5)


def test_a_run_of_both_goes_on_bit_for_bit_and_is_loaded_without_the_folder(
    peer: Peer, tmp_path: Path
) -> None:
    peer("timm")
    transformers = peer("transformers")
    data = shard(tmp_path / "pairs.tar")
    plain = tiny(tmp_path / "whole", data)
    image = replace(models.find("timm:test_vit").image, size=32)
    config = with_bert(replace(plain, model=replace(plain.model, image=image)), tmp_path / "bert")
    torch.manual_seed(9)
    theirs = transformers.BertForMaskedLM(transformers.BertConfig(**BERT))
    weights = {name: tensor.clone() for name, tensor in theirs.state_dict().items() if "cls." not in name}
    save_file(weights, tmp_path / "bert.safetensors")
    config = replace(config, pretrained=str(tmp_path / "bert.safetensors"), steps=4, zeroshot_frequency=1)
    said: list[str] = []
    whole = train(config, stop_at(-1), said.append)
    assert any("bert.safetensors" in line and "text tower" in line for line in said), said
    cut = train(replace(config, out=str(tmp_path / "cut")), stop_at(2), said.append)
    (tmp_path / "bert" / "tokenizer.json").unlink()
    resume_training(cut, stop_at(-1))
    assert newest_files(cut) == newest_files(whole)
    model = load_model(whole)
    texts = model.encode_text(["a red w9", "w8 small"])
    assert texts.shape == (2, 16)
    assert model.tokenizer.vocab == 38


def test_weights_of_another_network(peer: Peer, tmp_path: Path) -> None:
    peer("timm")
    save_file({"stages.0.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    config = replace(
        tiny(tmp_path / "run", shard(tmp_path / "pairs.tar")), pretrained=str(tmp_path / "other.safetensors")
    )
    config = replace(config, model=replace(config.model, image=models.find("timm:test_vit").image))
    with pytest.raises(SightwordError, match="are not of this model's image tower"):
        train(config, say=lambda said: None)


def test_the_command_line_names_both(peer: Peer, tmp_path: Path) -> None:
    peer("timm")
    place = folder(tmp_path / "bert", BERT)
    words_of(tmp_path / "bert")
    flags = given.Train(
        learning=given.LearningFlags(model="timm:test_vit"), towers=given.TowerFlags(text_model=place)
    )
    config = configure(flags)
    assert (config.model.image.name, config.model.text.kind) == ("test_vit", "hf")
    assert (config.data.tokenizer, config.data.vocab, config.model.text.context) == ("text-model", 38, 12)
