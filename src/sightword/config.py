"""What a run is made of: frozen dataclasses, to and from TOML, dotted overrides. No torch here."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from sightword.errors import SightwordError, unknown

Precision = Literal["fp32", "bf16", "auto"]
Colourer = Literal["loader", "device"]  # who does the colours of views
Pool = Literal["class", "gap", "max", "attention"]
Activation = Literal["gelu", "quick_gelu", "gelu_tanh"]  # exact, OpenAI's, or SigLIP's approximation
CaptionPolicy = Literal[
    "label", "label-tags", "label-tags-languages",
    "first", "uniform", "longest", "mixture", "title-or-description",
]  # fmt: skip


@dataclass(frozen=True)
class ImageTowerConfig:
    """An image encoder. `kind` says which fields count: ViT's, the ResNets', or another library's."""

    kind: Literal["vit", "resnet", "modified-resnet", "standard-resnet", "timm", "hf"] = "vit"
    size: int = 224  # pixels
    width: int = 384  # ViT: model width; ResNet: width of the first stage
    layers: tuple[int, ...] = (12,)  # ViT: one depth; ResNet: blocks in each stage
    heads: int = 12
    patch_size: int = 16  # pixels a token stands for, also of a ResNet (its whole stride)
    stem: Literal["patch", "conv"] = "patch"
    stem_bias: bool = True  # of the patch embedding; CLIP has none
    pre_norm: bool = False  # ViT: a LayerNorm before the first block, as CLIP's
    activation: Activation = "gelu"  # of a ViT
    eps: float = 1e-6  # of a ViT's LayerNorms
    positions: Literal["learned", "sincos"] = "learned"  # ViT: learned as SLIP's, or fixed as MAE's
    pool: Pool = "class"
    class_token: bool = False  # ViT: also where another pool leaves it aside, as in MAE's fine-tuned weights
    norm_after_pool: bool = False  # ViT: the last LayerNorm is of the pooled feature alone (timm's fc_norm)
    mlp_ratio: float = 4.0
    drop_path: float = 0.0
    mask_token: bool = False  # ViT: to replace hidden patches; objectives that do so get one unasked
    freeze_stem: bool = False  # ViT: the random patch embedding is not trained (MoCo v3, section 4.2)
    bottleneck: bool = True  # standard-resnet: as ResNet-50 and deeper; False as ResNet-18 and -34
    norm: Literal["batch", "group"] = "batch"  # ResNets and the convolutional stem
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"  # by which evaluation resizes pictures
    resize: Literal["shortest", "squash"] = "shortest"  # side to `size`, the middle cut out; or both sides
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet's, as SLIP
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    name: str = ""  # timm: of the network there; hf: the folder that it came from
    settings: str = ""  # hf: the library's own configuration, JSON

    @property
    def has_class_token(self) -> bool:
        """Whether a ViT has one, pooled or not."""
        return self.class_token or self.pool == "class"


@dataclass(frozen=True)
class TextTowerConfig:
    """A caption encoder: causal, its feature at end-of-text; or bidirectional, by mean or class token."""

    width: int = 512
    layers: int = 12
    heads: int = 8
    context: int = 77
    attention: Literal["causal", "bidirectional", "padding-too"] = "causal"  # padding-too: as SigLIP
    pool: Literal["eot", "mean", "class", "last"] = "eot"  # last: of the context, padding or not (SigLIP)
    activation: Activation = "quick_gelu"
    eps: float = 1e-5  # of the LayerNorms
    mlp_ratio: float = 4.0
    mask_token: bool = False  # to replace hidden words; objectives that do so get one unasked
    kind: Literal["transformer", "hf"] = "transformer"  # hf: only context and pool count of the above
    name: str = ""  # hf: the folder that it came from
    settings: str = ""  # hf: the library's own configuration, JSON


@dataclass(frozen=True)
class ModelConfig:
    """A pair of towers and the space where they meet."""

    name: str = "vit-s16"
    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    embed: int = 512  # width of the joint space
    project_image: bool = True  # False: the image tower's own feature is in the joint space (RN50, SigLIP)
    project_text_bias: bool = False  # the captions' projection has a bias (SigLIP)


@dataclass(frozen=True)
class DataConfig:
    """Which pairs, and how their captions are chosen and tokenised.

    `colour` does not make another run: the pixels of views are the same within a level, whoever colours them.
    """

    path: str = "demo"  # demo, a tar, shards like cc/{00000..01100}.tar, a folder of tars; `::` joins
    split: str = ""  # only samples whose json says so; the demo trains on `train`
    held_out: int = 0  # pairs kept away from training, the same whatever the seed; see docs/data.md
    samples: int = 0  # pairs to train on of the others, smaller within larger ones of a seed; 0: all
    upsampling: tuple[float, ...] = ()  # how often an epoch shows the samples of each `::` part; (): once
    sight: str = ""  # other pictures for the terms that read no captions (SLIP's decoupled variant)
    captions: CaptionPolicy = "label"
    tokenizer: Literal["clip", "learned", "weights", "text-model"] = "clip"  # weights: that of `pretrained`
    vocab: int = 4096  # rows of a learned tokenizer, or of the weights' or text model's
    window: int = 8  # shards shuffled together
    workers: int = -1  # loaders that make batches ahead; -1: as many as training needs
    loaders: Literal["auto", "threads", "processes"] = "auto"  # what they are; see docs/data.md
    colour: Literal["auto", "loader", "device"] = "auto"  # who does views' colours; auto: a GPU that trains
    cache_mib: int = 2048  # decoded pictures kept in memory when all of them fit
    image_key: str = "filepath"  # column of a table that names or holds the picture
    caption_key: str = "title"  # columns with captions, joined by commas
    separator: str = ""  # between the columns of a text table; "": found out
    image_root: str = ""  # the folder that relative picture paths start from; "": the table's own
    shard_cache_gib: float = 50.0  # disk that copies of remote shards may take
    max_bad: float = 0.01  # share of unreadable samples above which a run stops


@dataclass(frozen=True)
class LockConfig:
    """Which towers keep the weights that they start with; projections into the joint space always learn."""

    image: bool = False
    image_unlocked_groups: int = 0  # of the last blocks of a ViT, or stages of a ResNet, learn nevertheless
    text: bool = False
    text_unlocked_layers: int = 0  # of the last layers learn nevertheless


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters in place of whole weights (arXiv 2106.09685); see docs/interop.md."""

    rank: int = 0  # 0: none
    alpha: float = 0.0  # what adapters say counts alpha / rank; 0: as much as the rank
    on: tuple[Literal["image", "text"], ...] = ("image", "text")  # towers


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with the papers' parameter groups; warm-up and cosine counted in samples."""

    lr: float = 5e-4
    wd: float = 0.5
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    warmup: float = 0.04  # share of training
    lr_start: float = 1e-6
    lr_end: float = 1e-5
    grad_clip: float = 0.0  # 0: none, as SLIP
    ema: float = 0.0  # 0: none; otherwise the momentum of an average of the weights


@dataclass(frozen=True)
class Config:
    """A whole training run. `config.toml` in a run's directory is exactly this."""

    objective: str = "clip"
    out: str = "runs/latest"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    lock: LockConfig = field(default_factory=LockConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    batch_size: int = 256  # per process, of as many processes as `ranks` says
    ranks: int = 0  # processes that `batch_size` counts for; 0: those with which the run begins
    steps: int = 0  # 0: given by epochs
    epochs: float = 0.0  # 0: given by steps
    accum_freq: int = 1  # feature-cached chunks a step: memory of batch_size / accum_freq, same result
    chunk: int = 0  # the same, said as samples that are encoded at once; 0: accum_freq decides
    precision: Precision = "auto"  # auto: bf16 where the processor has instructions for it
    seed: int = 0
    save_every: int = 0  # steps; 0: at the end only
    save_minutes: float = 10.0
    keep_last: int = 2
    keep_best: str = ""  # a watched score, such as mine/zeroshot/acc1, by which the best weights are kept too
    log_every: int = 10
    zeroshot_frequency: int = 0  # steps between zero-shot scores while training; 0: none
    watch_on: str = "demo"  # labelled sets for these scores, joined by commas
    report_to: tuple[str, ...] = ()  # tensorboard, wandb
    device: str = "auto"
    parallel: Literal["auto", "ddp", "fsdp"] = "auto"  # of several processes: model copies, or pieces
    grad_checkpointing: bool = False  # compute activations of transformer blocks twice, to keep fewer
    compile: bool = False  # torch.compile each tower
    hang_minutes: float = 10.0  # a step that takes longer is a hang: it is reported, and the run stops
    evaluate_on: str = "auto"  # scored when training ends; auto: the demo when trained on it; "" for nothing
    init_from: str = ""  # another run whose tower weights to start from
    pretrained: str = ""  # weights from elsewhere to start from: a file or a folder; see docs/interop.md

    @property
    def global_batch(self) -> int:
        """Samples in a step, of all processes; it stays the same when a run goes on with fewer or more."""
        return self.batch_size * max(1, self.ranks)


T = TypeVar("T")


def to_toml(config: object) -> str:
    """A dataclass as TOML: scalars first, then one table for each nested dataclass."""
    return "\n".join(_toml_lines(config, "")) + "\n"


def from_toml(kind: type[T], text: str, where: str = "config.toml") -> T:
    """The dataclass that `to_toml` wrote. Unknown keys and wrong types are a `SightwordError`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SightwordError(f"{where} is not TOML: {error}; restore the file or start a new run") from error
    return build(kind, table, where)


def load(path: Path) -> Config:
    """The configuration of a run directory or of a TOML file."""
    file = path / "config.toml" if path.is_dir() else path
    if not file.is_file():
        raise SightwordError(f"no config.toml in '{path}'; give the directory of a run (see --out)")
    return from_toml(Config, file.read_text(encoding="utf-8"), str(file))


def override(config: T, changes: Mapping[str, Any], where: str = "--set") -> T:
    """`config` with dotted fields replaced, e.g. `{"model.image.pool": "gap"}`; strings become values."""
    for name, value in changes.items():
        config = _replace(config, name.split("."), value, f"{where} {name}")
    return config


def build(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A dataclass from a nested mapping, every value checked against its annotation."""
    hints = typing.get_type_hints(kind)
    for name in table:
        if name not in hints:
            raise unknown(f"setting in {where}", name, hints)
    return kind(**{name: _convert(hints[name], value, f"{where}: {name}") for name, value in table.items()})


def _toml_lines(config: Any, prefix: str) -> list[str]:
    values = [(f.name, getattr(config, f.name)) for f in dataclasses.fields(config)]
    lines = [
        f"{name} = {_toml_value(value)}" for name, value in values if not dataclasses.is_dataclass(value)
    ]
    for name, value in values:
        if dataclasses.is_dataclass(value):
            lines += ["", f"[{prefix}{name}]", *_toml_lines(value, f"{prefix}{name}.")]
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _replace(config: Any, path: list[str], value: Any, where: str) -> Any:
    name, *rest = path
    hints = typing.get_type_hints(type(config)) if dataclasses.is_dataclass(config) else {}
    if name not in hints:
        raise unknown(f"setting ({where})", name, hints)
    new = _replace(getattr(config, name), rest, value, where) if rest else _convert(hints[name], value, where)
    return dataclasses.replace(config, **{name: new})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(typing.cast(type, hint), value, where)
    if origin is Literal:
        if value not in arguments:
            raise unknown(f"value for {where}", str(value), map(str, arguments))
        return value
    if origin is tuple and isinstance(value, list | tuple | str):
        parts = [p for p in value.split(",") if p] if isinstance(value, str) else list(value)
        return _convert_tuple(arguments, parts, where)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(arguments[0], value, where)
    return _convert_scalar(hint, value, where)


def _convert_tuple(arguments: tuple[Any, ...], parts: list[Any], where: str) -> tuple[Any, ...]:
    kinds = [arguments[0]] * len(parts) if arguments[1:] == (Ellipsis,) else list(arguments)
    if len(kinds) != len(parts):
        raise SightwordError(f"{where} needs {len(kinds)} values, found {len(parts)}: {parts}")
    return tuple(_convert(kind, part, where) for kind, part in zip(kinds, parts, strict=True))


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if hint in (int, float) and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = None
        if number is not None and (hint is float or number.is_integer()):
            return hint(value) if hint is float or isinstance(value, int) else int(number)
    elif isinstance(value, hint) and not (hint is not bool and isinstance(value, bool)):
        return value
    raise SightwordError(f"{where} must be {getattr(hint, '__name__', hint)}, found {value!r}")
