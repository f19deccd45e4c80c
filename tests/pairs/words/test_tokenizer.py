from __future__ import annotations

import html
import json
import os
import pickle
import subprocess
import sys
import time

import ftfy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from varied_strings import GOLDEN, PIECES, open_clip_module, varied

from sightword.errors import SightwordError
from sightword.pairs.sources import open_pairs
from sightword.pairs.words.cleaning import clean
from sightword.pairs.words.tokenizer import ClipTokenizer, LearnedTokenizer, load_tokenizer

CAPTIONS = ["grinning face", "a dog's café", "dog face", "red heart", "black heart", "grinning cat"] * 3


@pytest.fixture(scope="module")
def clip() -> ClipTokenizer:
    return ClipTokenizer()


@pytest.fixture(scope="module")
def learned() -> LearnedTokenizer:
    return LearnedTokenizer.train(CAPTIONS, vocab=300, context=12)


def test_ids_are_those_of_the_golden_file(clip):
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(rows) > 300
    words = clip([text for text, _ in rows])
    for (text, wanted), ids, length in zip(rows, words.ids.tolist(), words.lengths.tolist(), strict=True):
        assert ids[: len(wanted)] == wanted, repr(text)
        assert ids[length - 1] == clip.eot
        assert not any(ids[length:])


def test_ids_are_open_clips_on_ten_thousand_strings(clip):
    module = open_clip_module()
    if module is None:
        pytest.skip("open_clip_torch is not installed; the golden file stands for it")
    strings = varied(10_000)
    theirs, ours = module.SimpleTokenizer()(strings), clip(strings).ids
    wrong = [strings[row] for row in (theirs != ours).any(dim=1).nonzero()[:, 0].tolist()]
    assert not wrong, wrong[:3]


def _cleaned_slowly(text: str) -> str:
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_is_cleaned_as_ftfy_would(text):
    assert clean(text) == _cleaned_slowly(text)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*" \t\n\r\f", "A", "b", "&", "amp;", "\x1b[0m", "\x1c", "é", "Ã©"])).map(
        "".join
    )
)
def test_cleaning_around_its_short_cut(pieces):
    text = "".join(pieces)
    assert clean(text) == _cleaned_slowly(text)


def test_clips_facts(clip):
    assert (clip.vocab, clip.pad, clip.sot, clip.eot, clip.context) == (49408, 0, 49406, 49407, 77)
    words = clip(["", "a photo of a dog"])
    assert words.ids.shape == (2, 77)
    assert words.ids.dtype == torch.int64
    assert words.ids[0, :3].tolist() == [49406, 49407, 0]
    assert words.lengths.tolist() == [2, 7]
    assert clip([]).ids.shape == (0, 77)


@pytest.mark.parametrize("context", [3, 16, 77])
def test_the_end_is_kept_when_a_caption_is_cut(context):
    for tokenizer in (ClipTokenizer(context), LearnedTokenizer.train(CAPTIONS, 270, context)):
        words = tokenizer(["dog " * 500, "é" * 500, "dog"])
        assert words.ids[:2, -1].tolist() == [tokenizer.eot] * 2
        assert words.lengths.tolist()[:2] == [context] * 2
        for ids, length in zip(words.ids.tolist(), words.lengths.tolist(), strict=True):
            assert ids.index(tokenizer.eot) == length - 1
    with pytest.raises(SightwordError, match="context must be at least 3"):
        ClipTokenizer(2)


def test_decoding_gives_back_the_words(clip, learned):
    for text in ("a photo of a dog", "café 🐕 日本", "grinning face"):
        assert clip.decode(clip([text]).ids[0].tolist()) == text
        ids = LearnedTokenizer.train(CAPTIONS, 300, 64)([text]).ids[0].tolist()
        assert learned.decode(ids) == text


def test_learned_ids_are_few_and_all_bytes_are_known(learned):
    assert 259 < learned.vocab <= 300
    assert len({learned.pad, learned.sot, learned.eot}) == 3
    assert learned(["grinning face"]).lengths.item() < len("grinning face")
    unseen = LearnedTokenizer.train(CAPTIONS, 300, 400)
    for text in PIECES:
        words = unseen([text])
        ids = words.ids[0, : int(words.lengths)].tolist()
        spaced = [text for text in clean(text).split() if text]
        assert len(ids) >= 2 + len(spaced)
        assert sorted({unseen.sot, unseen.eot, unseen.pad} & set(ids[1:-1])) == []
        assert unseen.decode(ids).replace(" ", "") == clean(text).replace(" ", "")


def test_more_ids_make_shorter_captions():
    captions = [text.caption for text in open_pairs("demo", "train").texts()]
    lengths = [
        LearnedTokenizer.train(captions, vocab, 64)(captions[:500]).lengths.sum()
        for vocab in (300, 1000, 4000)
    ]
    assert lengths[0] > lengths[1] > lengths[2]


def test_learning_repeats_in_another_process_and_order(tmp_path):
    script = (
        "import sys, pathlib; from sightword.pairs.words.tokenizer import LearnedTokenizer;"
        "from sightword.pairs.sources import open_pairs;"
        "captions = [text.caption for text in open_pairs('demo', 'train').texts()][::int(sys.argv[1])];"
        "LearnedTokenizer.train(captions, 1000, 16).save(pathlib.Path(sys.argv[2]))"
    )
    files = [tmp_path / f"{hash_seed}.json" for hash_seed in (1, 2)]
    for hash_seed, file in zip((1, 2), files, strict=True):
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "RAYON_NUM_THREADS": str(hash_seed)}
        environment["TOKENIZERS_PARALLELISM"] = "true" if hash_seed == 2 else "false"
        backwards = "-1" if hash_seed == 2 else "1"
        subprocess.run([sys.executable, "-c", script, backwards, str(file)], env=environment, check=True)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_saved_tokenizers_come_back(tmp_path, clip, learned):
    for tokenizer in (clip, learned):
        file = tmp_path / "run" / "tokenizer.json"
        tokenizer.save(file)
        loaded = load_tokenizer(file, tokenizer.context)
        assert type(loaded) is type(tokenizer)
        assert loaded.digest == tokenizer.digest
        assert torch.equal(loaded(PIECES).ids, tokenizer(PIECES).ids)
        assert load_tokenizer(file, 5).context == 5
        again = pickle.loads(pickle.dumps(tokenizer))
        assert torch.equal(again(PIECES).ids, tokenizer(PIECES).ids)
    assert clip.digest != learned.digest
    assert LearnedTokenizer.train(CAPTIONS, 290, 12).digest != learned.digest


def test_what_is_no_tokenizer_is_refused(tmp_path, clip):
    with pytest.raises(SightwordError, match="cannot read"):
        load_tokenizer(tmp_path / "none.json", 77)
    file = tmp_path / "tokenizer.json"
    for content in ("", "{}", '{"model": 3}'):
        file.write_text(content)
        with pytest.raises(SightwordError, match="is not a tokenizer"):
            load_tokenizer(file, 77)
    clip.save(file)
    file.write_text(
        file.read_text(encoding="utf-8").replace('"<start_of_text>"', '"<other>"'), encoding="utf-8"
    )
    with pytest.raises(SightwordError, match=r"neither CLIP's tokenizer nor a learned one"):
        load_tokenizer(file, 77)
    with pytest.raises(SightwordError, match="at least 259 ids"):
        LearnedTokenizer.train(CAPTIONS, 100, 12)


def test_an_endless_word_does_not_keep_learning_from_ending() -> None:
    begun = time.process_time()
    learned = LearnedTokenizer.train(["x" * 300_000, "a red cat", "a red dog"], 300, 16)
    assert learned(["y" * 300_000]).lengths.tolist() == [16]
    assert time.process_time() - begun < 5
