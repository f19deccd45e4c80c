"""What travels with the weights: preprocessing, tokenizer, templates; in widely read forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Regex, normalizers, processors

from sightword.evaluation.cards import cards
from sightword.pairs.words.tokenizer import ClipTokenizer, Tokenizer
from sightword.training.model import Model
from sightword.views.evaluation import Preparation

PREPROCESSING = "preprocessor_config.json"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
TEMPLATES = "templates.json"
_RESAMPLE = {"bilinear": 2, "bicubic": 3}  # PIL's numbers


def preprocessing(model: Model, kind: str = "CLIPImageProcessor") -> dict[str, Any]:
    """`preprocessor_config.json` as transformers, transformers.js and others read it.

    Args:
        model: whose size, interpolation, mean and deviation.
        kind: the class of transformers that is to read it.
    """
    preparation, image = model.preparation, model.config.model.image
    square = {"height": preparation.size, "width": preparation.size}
    squash = preparation.resize == "squash"
    return {
        "image_processor_type": kind,
        "do_convert_rgb": True,
        "do_resize": True,
        "size": square if squash else {"shortest_edge": preparation.size},
        "resample": _RESAMPLE[preparation.interpolation],
        "do_center_crop": not squash,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(image.mean),
        "image_std": list(image.std),
    }


def write_preprocessing(model: Model, folder: Path, kind: str = "CLIPImageProcessor") -> None:
    """Write `preprocessor_config.json`."""
    write_json(folder / PREPROCESSING, preprocessing(model, kind))


def write_templates(folder: Path) -> None:
    """Write `templates.json`: the prompts of each published set that has some, `{}` for the class name."""
    rows = {name: list(card.templates) for name, card in cards().items() if card.templates}
    write_json(folder / TEMPLATES, rows)


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a `tokenizer.json` that needs no code around it: it cleans, cuts, frames, truncates and pads.

    Deviation: broken encodings are not mended and HTML entities not resolved; no tokenizer.json can say that.
    """
    tokenizer.save(folder / TOKENIZER)
    inner = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
    complete(inner, tokenizer)
    inner.save(str(folder / TOKENIZER))


def complete(inner: tokenizers.Tokenizer, tokenizer: Tokenizer) -> None:
    """Let the library's tokenizer do by itself what ours does around it."""
    if inner.normalizer is None:
        white = normalizers.Replace(Regex(r"\s+"), " ")
        inner.normalizer = normalizers.Sequence([white, normalizers.Strip(), normalizers.Lowercase()])
    start = [] if tokenizer.sot is None else [(_name(inner, tokenizer.sot), tokenizer.sot)]
    end = _name(inner, tokenizer.eot), tokenizer.eot
    inner.post_processor = processors.TemplateProcessing(
        single=" ".join([*(name for name, _ in start), "$A", end[0]]), special_tokens=[*start, end]
    )
    inner.enable_truncation(tokenizer.context)
    inner.enable_padding(
        length=tokenizer.context, pad_id=tokenizer.pad, pad_token=_name(inner, tokenizer.pad)
    )


def write_hugging_face_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """`write_tokenizer`, and the `tokenizer_config.json` by which transformers loads it.

    transformers makes a special token of what pads, which in CLIP's is a word: there the end pads, as it does
    in transformers' own. A causal text tower that pools the first end does not feel it.
    """
    write_tokenizer(tokenizer, folder)
    inner = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
    pad = tokenizer.eot if isinstance(tokenizer, ClipTokenizer) else tokenizer.pad
    inner.enable_padding(length=tokenizer.context, pad_id=pad, pad_token=_name(inner, pad))
    inner.save(str(folder / TOKENIZER))
    named = {"bos_token": tokenizer.sot, "eos_token": tokenizer.eot, "pad_token": pad}
    names = {name: _name(inner, id) for name, id in named.items() if id is not None}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": tokenizer.context}
    write_json(folder / TOKENIZER_CONFIG, {**about, **names, "padding_side": "right"})


def _name(inner: tokenizers.Tokenizer, id: int) -> str:
    found = inner.id_to_token(id)
    assert found is not None, id
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A file of JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def facts(preparation: Preparation) -> str:
    """How pictures are prepared, in words."""
    size = preparation.size
    how = "both sides squashed to" if preparation.resize == "squash" else "shorter side to"
    rest = "" if preparation.resize == "squash" else f", middle {size} x {size} cut out"
    return f"RGB, {how} {size} px ({preparation.interpolation}, antialiased){rest}"
