"""Checkpoints of Janus and Janus-Pro (arXiv 2501.17811) as transformers saves them, read strictly.

Of config.json only the sizes are taken, of generation_config.json the ids that begin and pad; what
is left out there is what the library has for it. Unread and not held are the tower that understands
pictures and the head that writes words. Everything is computed in single precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn

from generators.checkpoints.files import BadCheckpoint, check_fit
from generators.checkpoints.folders import (
    CONFIG,
    WORDS,
    bytes_in,
    check_kind,
    check_sizes,
    naming,
    table_of,
    tensors_in,
    weights_in,
)

KIND = "janus"
GENERATION = "generation_config.json"
FILES = (CONFIG, GENERATION, WORDS)
VQ = "model.vqmodel."
UNREAD = ("model.vision_model.", "model.aligner.", "lm_head.")
TEXT = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
TEXT_HEADS = ("num_attention_heads", "num_key_value_heads", "head_dim")
CODES = ("num_embeddings", "embed_dim", "latent_channels", "base_channels", "num_res_blocks")
HEADS = ("projection_dim", "num_hidden_layers", "image_token_embed_dim")
GRID = ("image_size", "patch_size", "num_image_tokens")
# What the library has for each, and the only value that is drawn with.
TEXT_FIXED = {
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "rope_scaling": None,
}
VQ_FIXED = {"hidden_act": "gelu", "double_latent": False, "in_channels": 3, "out_channels": 3}

Module = TypeVar("Module", bound=nn.Module)
_named = partial(naming, what="Janus")


@dataclass(frozen=True)
class JanusFiles:
    """What was read beside the weights, as it was written."""

    name: str  # for errors
    config: bytes
    generation: bytes
    words: bytes

    @property
    def memory(self) -> int:
        """Bytes of weights: there are none in these."""
        return 0

    def save(self, folder: Path) -> None:
        """Write FILES into a folder."""
        for name, data in zip(FILES, (self.config, self.generation, self.words), strict=True):
            (folder / name).write_bytes(data)


@dataclass(frozen=True)
class JanusSizes:
    """Sizes of the language model and of the VQ model with its heads, and the grid of a picture.

    The tower that understands pictures tells the grid, and is given one layer: it is not built up.
    """

    text: transformers.LlamaConfig
    vq: transformers.JanusVQVAEConfig
    vision: transformers.JanusVisionConfig


@dataclass(frozen=True)
class JanusIds:
    """Tokens that mean something to the model: what pads, what comes first, what begins a picture.

    `words` is how many tokens of text there are.
    """

    pad: int
    first: int
    begin: int
    words: int


def is_janus(folder: Path) -> bool:
    """Whether a folder's config.json names the model."""
    try:
        return bool(table_of(bytes_in(folder, CONFIG), file=CONFIG).get("model_type") == KIND)
    except BadCheckpoint:
        return False


def janus_files(folder: Path) -> list[Path]:
    """All the files that are read of a folder; raises BadCheckpoint."""
    with _named(folder):
        return [*(folder / name for name in FILES), *weights_in(folder)]


def read_files(folder: Path) -> JanusFiles:
    """What lies beside the weights; raises BadCheckpoint."""
    with _named(folder):
        return JanusFiles(str(folder), *(bytes_in(folder, name) for name in FILES))


def read_parts(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors that draw, and those of the VQ model by its own names; raises BadCheckpoint."""
    with _named(folder):
        tensors = tensors_in(folder, lambda key: not key.startswith(UNREAD))
    codec = {key.removeprefix(VQ): one for key, one in tensors.items() if key.startswith(VQ)}
    return {key: one for key, one in tensors.items() if not key.startswith(VQ)}, codec


def sizes_of(files: JanusFiles) -> JanusSizes:
    """What config.json tells; raises BadCheckpoint."""
    with _named(files.name):
        told = table_of(files.config, file=CONFIG)
        check_kind(told, KIND)
        text, codes, grid = (_table(told, f"{part}_config") for part in ("text", "vq", "vision"))
        try:
            vision = transformers.JanusVisionConfig(**_sizes(grid, GRID), num_hidden_layers=1)
            side = vision.image_size // vision.patch_size  # type: ignore[operator]
            if vision.num_image_tokens != side**2:
                raise BadCheckpoint(
                    f"num_image_tokens is {vision.num_image_tokens} in {CONFIG}, for a grid of "
                    f"{side} x {side}"
                )
            return JanusSizes(_text(text), _vq(codes, side), vision)
        except StrictDataclassError as e:
            reason = " ".join(str(e).split())
            raise BadCheckpoint(f"the sizes in {CONFIG} do not go together: {reason}") from e


def stride_of(vq: transformers.JanusVQVAEConfig) -> int:
    """Pixels a token of a VQ model, each way."""
    return int(2 ** (len(vq.channel_multiplier) - 1))


def ids_of(files: JanusFiles) -> JanusIds:
    """The tokens that generation_config.json names; raises BadCheckpoint."""
    words = sizes_of(files).text.vocab_size
    with _named(files.name):
        told = table_of(files.generation, file=GENERATION)
        begun = _table(told, "generation_kwargs", file=GENERATION)
        pad, first = (_id(told, key, words) for key in ("pad_token_id", "bos_token_id"))
        return JanusIds(pad, first, _id(begun, "boi_token_id", words), words)


def load_transformer(
    tensors: Mapping[str, Tensor], files: JanusFiles
) -> transformers.JanusForConditionalGeneration:
    """What draws, without a VQ model; raises BadCheckpoint."""
    sizes, ids = sizes_of(files), ids_of(files)
    config = transformers.JanusConfig(
        text_config=sizes.text, vq_config=sizes.vq, vision_config=sizes.vision
    )
    with _named(files.name):
        model = _empty(transformers.JanusForConditionalGeneration, config)
    del model.lm_head, model.model.vision_model, model.model.aligner, model.model.vqmodel
    rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding
    model.model.language_model.rotary_emb = rotary(sizes.text)  # in no file, since it is computed
    told = model.generation_config
    told.pad_token_id, told.bos_token_id = ids.pad, ids.first
    told.generation_kwargs = {"boi_token_id": ids.begin}  # type: ignore[attr-defined]
    return _filled(model, tensors, name=f"the Janus of {files.name}")


def load_codec(tensors: Mapping[str, Tensor], files: JanusFiles) -> transformers.JanusVQVAE:
    """The VQ model of its own tensors; raises BadCheckpoint."""
    sizes = sizes_of(files)
    with _named(files.name):
        model = _empty(transformers.JanusVQVAE, sizes.vq)
    return _filled(model, tensors, name=f"the VQ model of {files.name}")


def _id(told: Mapping[str, Any], key: str, words: int) -> int:
    """The number of a token; raises BadCheckpoint."""
    one = told.get(key)
    if type(one) is not int or not 0 <= one < words:
        raise BadCheckpoint(f"{key} is {one!r} in {GENERATION}, and there are {words} words")
    return one


def _table(told: Mapping[str, Any], key: str, *, file: str = CONFIG) -> dict[str, Any]:
    """A table within a table; empty where it is left out."""
    table = told.get(key, {})
    if not isinstance(table, dict):
        raise BadCheckpoint(f"{key} is {table!r} in {file}")
    return table


def _sizes(table: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Those of the sizes that are told."""
    sizes = {key: table[key] for key in keys if key in table}
    check_sizes(sizes)
    return sizes


def _check_fixed(table: Mapping[str, Any], fixed: Mapping[str, object]) -> None:
    for key, value in fixed.items():
        if table.get(key, value) != value:
            raise BadCheckpoint(f"{key} is {table[key]!r} in {CONFIG}, and only {value!r} is known")


def _text(table: Mapping[str, Any]) -> transformers.LlamaConfig:
    """Sizes of the language model, as transformers 4 or 5 writes them."""
    _check_fixed(table, TEXT_FIXED)
    turned = _table(table, "rope_parameters")
    _check_fixed(turned, {"rope_type": "default"})
    base = turned.get("rope_theta", table.get("rope_theta", 10_000.0))
    least = table.get("rms_norm_eps", 1e-6)
    if type(base) not in (int, float) or type(least) is not float:
        raise BadCheckpoint(f"rope_theta is {base!r} and rms_norm_eps {least!r} in {CONFIG}")
    heads = {key: table[key] for key in TEXT_HEADS if table.get(key) is not None}
    return transformers.LlamaConfig(
        **_sizes(table, TEXT),
        **_sizes(heads, TEXT_HEADS),
        rms_norm_eps=least,
        rope_parameters={"rope_type": "default", "rope_theta": float(base)},
    )


def _vq(table: Mapping[str, Any], side: int) -> transformers.JanusVQVAEConfig:
    """Sizes of the VQ model and of what joins it to the language model; `side` is in tokens."""
    _check_fixed(table, VQ_FIXED)
    sizes = _sizes(table, CODES + HEADS)
    if "channel_multiplier" in table:
        levels = table["channel_multiplier"]
        if not isinstance(levels, list) or not levels:
            raise BadCheckpoint(f"channel_multiplier is {levels!r} in {CONFIG}")
        check_sizes({f"channel_multiplier[{n}]": one for n, one in enumerate(levels)})
        sizes["channel_multiplier"] = levels
    return transformers.JanusVQVAEConfig(**sizes, num_patches=side)


def _empty(kind: type[Module], config: object) -> Module:
    """A model that takes no memory yet."""
    try:
        with torch.device("meta"):
            return kind(config)
    except ValueError as e:  # a convolution of channels that are no multiple of its groups
        raise BadCheckpoint(f"the sizes in {CONFIG} make no model: {e}") from e


def _filled(model: Module, tensors: Mapping[str, Tensor], *, name: str) -> Module:
    """The model with the tensors in it, in single precision, once all are known to fit."""
    check_fit(model, tensors, name=name)
    given = {key: one.to(torch.float32, copy=True) for key, one in tensors.items()}
    model.load_state_dict(given, strict=True, assign=True)
    model.train(mode=False).requires_grad_(requires_grad=False)
    return model
