"""open_clip's CLIP models: its own ViTs and ResNets, ViTs and ResNets of timm, and its text tower."""

from __future__ import annotations

from dataclasses import replace

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer, load_tokenizer
from sightword.weights import clip_names, open_clip_trunk
from sightword.weights.clip_shapes import HEAD, clip_tokenizer, heads_of, image_of, sized, text_of
from sightword.weights.foreign import Foreign
from sightword.weights.open_clip_told import FILE, Told, demand, told
from sightword.weights.reading import Read
from sightword.weights.renaming import Pair, Table

_SIGLIP = "visual.trunk.attn_pool.latent"  # pooled by a query: another room's
_CLEANINGS: tuple[dict[str, str], ...] = ({}, {"clean": "lower"})  # of captions, that are CLIP's


def recognises(file: Read) -> bool:
    """CLIP's names, or timm's under `visual.trunk.`, beside a text tower."""
    names = file.tensors.keys()
    image = "visual.conv1.weight" in names or any(name.startswith("visual.trunk.") for name in names)
    text = {"positional_embedding", "text.positional_embedding"} & names
    return image and bool(text) and not (_SIGLIP in names and "text.text_projection.bias" in names)


def read(file: Read) -> Foreign:
    """The weights by our names.

    Activations and heads are told by `open_clip_config.json` or by the settings of the run that made the
    checkpoint; without them the first is not guessed.

    Raises:
        SightwordError: when tensors are missing or contradict the configuration, or nothing says which
            activation they learned with.
    """
    known = told(file)
    prefix = "text." if "text.positional_embedding" in file.tensors else ""
    model, trunk = _model(file, known, prefix), "visual.conv1.weight" not in file.tensors
    tokenizer = _tokenizer(file, known, model.text, prefix)
    _demand_pool(known, tokenizer)
    made = table(model, prefix, trunk, bias="logit_bias" in file.tensors)
    tensors = made.inward(file.tensors, file.where)
    return Foreign("open_clip", file.where, model, tensors, tokenizer, (*file.notes, *known.notes))


def table(model: ModelConfig, prefix: str = "", trunk: bool = False, bias: bool = False) -> Table:
    """open_clip's names beside ours.

    Args:
        model: shapes and hyper-parameters.
        prefix: "text." where the text tower is a module of its own (`custom_text`).
        trunk: the image tower is timm's.
        bias: there is a learned `logit_bias`.
    """
    return Table([*_image_pairs(model, trunk), *clip_names.text(model, prefix), *clip_names.scale(bias)])


def _image_pairs(model: ModelConfig, trunk: bool) -> list[Pair]:
    if trunk:
        return open_clip_trunk.pairs(model)
    return clip_names.vit(model.image) if model.image.kind == "vit" else clip_names.resnet(model)


def _model(file: Read, known: Told, prefix: str) -> ModelConfig:
    own = "visual.conv1.weight" in file.tensors
    image = known.prepared(_image(file, known) if own else open_clip_trunk.image_of(file, known.vision))
    text = _text(file, known, prefix)
    projection = f"{prefix}text_projection"
    biased = f"{projection}.bias" in file.tensors
    embed = sized(file, f"{projection}.weight", 2)[0] if biased else sized(file, projection, 2)[1]
    projected = image.kind != "modified-resnet" or embed != 16 * image.width
    return ModelConfig("open_clip", image, text, embed, projected, biased)


def _image(file: Read, known: Told) -> ImageTowerConfig:
    """open_clip's own tower; its ViT has a class token also where the mean of the patches is pooled."""
    part, told_pool = "vision_cfg", known.vision.get("pool_type", "tok")
    resnet = "visual.layer1.0.conv1.weight" in file.tensors
    width = sized(file, "visual.layer1.0.conv1.weight" if resnet else "visual.conv1.weight", 4)[0]
    image = image_of(file, known.head(width), known.activation(part), known.eps(part))
    found = {"width": image.width, "image_size": image.size}
    if resnet:
        demand(known.vision, found | {"layers": list(image.layers)}, part)
        return image
    demand(known.vision, found | {"layers": image.layers[0], "patch_size": image.patch_size}, part)
    demand(known.vision, {"no_ln_pre": not image.pre_norm}, part)
    if told_pool == "tok":
        return image
    if told_pool != "avg":
        raise SightwordError(f"{FILE}: {part}.pool_type is {told_pool!r}; wanted tok or avg")
    after = bool(known.vision.get("final_ln_after_pool"))
    return replace(image, pool="gap", class_token=True, norm_after_pool=after)


def _text(file: Read, known: Told, prefix: str) -> TextTowerConfig:
    part, width = "text_cfg", sized(file, f"{prefix}positional_embedding", 2)[1]
    heads = int(known.text.get("heads", 8)) if known.text else heads_of(file, width, HEAD, "text")
    if heads < 1 or width % heads:
        raise SightwordError(f"{FILE}: {part}.heads is {heads}, which do not divide a width of {width}")
    text = replace(
        text_of(file, width // heads, known.activation(part), prefix), eps=known.eps(part), heads=heads
    )
    vocab = sized(file, f"{prefix}token_embedding.weight", 2)[0]
    found = {"width": width, "layers": text.layers, "context_length": text.context, "vocab_size": vocab}
    demand(known.text, found, part)
    if known.text.get("no_causal_mask"):
        raise SightwordError(
            f"{FILE}: {part}.no_causal_mask: a text tower that looks both ways, and at padding too, can be"
            " read here only with SigLIP's names"
        )
    return text


def _tokenizer(file: Read, known: Told, text: TextTowerConfig, prefix: str) -> Tokenizer:
    """CLIP's, or the one that lies beside the weights."""
    cleaning = dict(known.text.get("tokenizer_kwargs") or {})
    named = known.text.get("hf_tokenizer_name")
    if cleaning not in _CLEANINGS or known.text.get("tokenizer_mode"):
        raise SightwordError(
            f"{FILE}: captions are prepared in a way that is not known here (text_cfg.tokenizer_kwargs"
            f" {cleaning}); wanted CLIP's"
        )
    if not named:
        return clip_tokenizer(file, text.context, f"{prefix}token_embedding.weight")
    if file.beside is None or not (file.beside / "tokenizer.json").is_file():
        raise SightwordError(
            f"{FILE} names the tokenizer {named!r}, and no tokenizer.json lies beside '{file.where}';"
            " only CLIP's own needs no file"
        )
    tokenizer = load_tokenizer(file.beside / "tokenizer.json", text.context)
    rows = sized(file, f"{prefix}token_embedding.weight", 2)[0]
    if tokenizer.vocab != rows:
        raise SightwordError(
            f"tokenizer.json beside '{file.where}' knows {tokenizer.vocab} words, but the weights have {rows}"
        )
    return tokenizer


def _demand_pool(known: Told, tokenizer: Tokenizer) -> None:
    """open_clip takes the highest id for the end of text, or the one that it is told."""
    pool = known.text.get("pool_type", "argmax")
    highest = tokenizer.eot == tokenizer.vocab - 1
    if (pool == "argmax" and highest) or (pool == "eos" and known.text.get("eos_id", 2) == tokenizer.eot):
        return
    raise SightwordError(
        f"{FILE}: text_cfg.pool_type is {pool!r} (eos_id {known.text.get('eos_id')}), which is not the end of"
        f" text of its tokenizer, {tokenizer.eot}"
    )
