"""The text transformer against its naive twin: pooling, padding, trimming, hidden words."""

from __future__ import annotations

from dataclasses import replace

import naive_towers
import numpy as np
import pytest
import torch

from sightword.config import TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_text
from sightword.towers.text import TextTransformer
from sightword.words import Words

CONFIG = TextTowerConfig(width=24, layers=2, heads=3, context=12, mask_token=True)
CAUSAL = [replace(CONFIG, pool="eot"), replace(CONFIG, pool="mean", activation="gelu")]
BIDIRECTIONAL = [replace(CONFIG, attention="bidirectional", pool=pool) for pool in ("eot", "mean", "class")]
LENGTHS = [3, 9, 5]
EOT = 40  # in the middle of the vocabulary: the feature must not be found by the largest id


def tower_of(config: TextTowerConfig) -> TextTransformer:
    torch.manual_seed(0)
    tower = build_text(config, vocab=60, pad=0, eot=EOT).double()
    assert isinstance(tower, TextTransformer)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return tower


def captions(length: int = 12) -> Words:
    ids = torch.randint(41, 60, (3, length), generator=torch.Generator().manual_seed(1))
    for row, n in enumerate(LENGTHS):
        ids[row, n - 1], ids[row, n:] = EOT, 0
    return Words(ids, torch.tensor(LENGTHS))


@pytest.mark.parametrize("config", CAUSAL + BIDIRECTIONAL, ids=lambda c: f"{c.attention}-{c.pool}")
def test_equals_its_twin_without_padding(config):
    tower, words = tower_of(config), captions()
    answer = tower(words)
    assert answer.tokens.shape == (3, max(LENGTHS), 24)
    for i, n in enumerate(LENGTHS):
        assert answer.valid[i].tolist() == [j < n for j in range(max(LENGTHS))]
        ids = words.ids[i].tolist()
        pooled, tokens = naive_towers.text(ids, naive_towers.weights_of(tower), config, range(n))
        np.testing.assert_allclose(answer.pooled[i].detach(), pooled, atol=1e-9)
        np.testing.assert_allclose(answer.tokens[i, :n].detach(), tokens, atol=1e-9)


@pytest.mark.parametrize("config", CAUSAL + BIDIRECTIONAL, ids=lambda c: f"{c.attention}-{c.pool}")
def test_trimming_changes_nothing(config, monkeypatch):
    tower, words = tower_of(config), captions()
    trimmed = tower(words)
    monkeypatch.setattr("sightword.towers.text._longest", lambda real: real.shape[1])
    whole = tower(words)
    assert whole.tokens.shape[1] == 12
    torch.testing.assert_close(trimmed.pooled, whole.pooled, atol=1e-12, rtol=0)
    torch.testing.assert_close(trimmed.tokens[trimmed.valid], whole.tokens[whole.valid], atol=1e-12, rtol=0)


@pytest.mark.parametrize("config", CAUSAL + BIDIRECTIONAL, ids=lambda c: f"{c.attention}-{c.pool}")
def test_what_stands_in_the_padding_does_not_matter(config):
    tower, words = tower_of(config), captions()
    padding = torch.arange(12) >= words.lengths[:, None]
    other = Words(torch.where(padding, EOT, words.ids), words.lengths)
    torch.testing.assert_close(tower(words).pooled, tower(other).pooled, atol=1e-12, rtol=0)


@pytest.mark.parametrize("config", CAUSAL + BIDIRECTIONAL, ids=lambda c: f"{c.attention}-{c.pool}")
def test_dropping_words_equals_encoding_the_others(config):
    tower, words = tower_of(config), captions()
    hidden = torch.rand(3, 12, generator=torch.Generator().manual_seed(3)) < 0.6
    hidden[:, LENGTHS[0] - 1] = True  # row 0's end of text, which stays all the same
    answer = tower(words, hidden)
    for i, n in enumerate(LENGTHS):
        kept = [j for j in range(n) if not hidden[i, j] or j == n - 1]
        assert answer.kept[i][answer.valid[i]].tolist() == kept
        assert answer.hidden[i].tolist() == [j < n and j not in kept for j in range(12)]
        ids = words.ids[i].tolist()
        pooled, tokens = naive_towers.text(ids, naive_towers.weights_of(tower), config, kept)
        np.testing.assert_allclose(answer.pooled[i].detach(), pooled, atol=1e-9)
        np.testing.assert_allclose(answer.tokens[i][answer.valid[i]].detach(), tokens, atol=1e-9)


def test_replacing_words_puts_the_mask_token_in():
    config = BIDIRECTIONAL[1]
    tower, words = tower_of(config), captions()
    hidden = torch.rand(3, 12, generator=torch.Generator().manual_seed(3)) < 0.5
    answer = tower(words, hidden, replace=True)
    assert answer.kept is None
    for i, n in enumerate(LENGTHS):
        masked = [j for j in range(n - 1) if hidden[i, j]]
        assert answer.hidden[i].nonzero()[:, 0].tolist() == masked
        ids = words.ids[i].tolist()
        pooled, _ = naive_towers.text(ids, naive_towers.weights_of(tower), config, range(n), masked)
        np.testing.assert_allclose(answer.pooled[i].detach(), pooled, atol=1e-9)


def test_replacing_without_a_mask_token_says_what_to_set():
    tower = build_text(replace(CONFIG, mask_token=False), 60, 0, EOT)
    with pytest.raises(SightwordError, match="mask_token=true"):
        tower(captions(), torch.ones(3, 12, dtype=torch.bool), replace=True)


def test_causal_tokens_do_not_see_what_follows():
    tower, words = tower_of(CAUSAL[0]), captions()
    changed = words.ids.clone()
    changed[1, 5] = 7
    before, after = tower(words).tokens[1], tower(Words(changed, words.lengths)).tokens[1]
    assert torch.equal(before[:5], after[:5])
    assert not torch.isclose(before[5:], after[5:]).all(-1).any()


def test_starts_as_openai_does():
    torch.manual_seed(0)
    tower = build_text(TextTowerConfig(width=256, layers=4, heads=4), 5000, 0, 4999)
    expected = {
        "token_embedding.weight": 0.02,
        "positional_embedding": 0.01,
        "blocks.1.attn.qkv.weight": 256**-0.5,
        "blocks.1.attn.proj.weight": (256 * 8) ** -0.5,
        "blocks.1.mlp.fc1.weight": 512**-0.5,
        "blocks.1.mlp.fc2.weight": (256 * 8) ** -0.5,
    }
    parameters = dict(tower.named_parameters())
    for name, deviation in expected.items():
        assert parameters[name].std().item() == pytest.approx(deviation, rel=0.03), name
