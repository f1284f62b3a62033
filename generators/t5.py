"""The states that LlamaGen's text models are asked with: T5's encoder, from a folder.

The published models were trained with the encoder of flan-t5-xl (Apache-2.0): 120 places, padded
after the text, truncated. Nothing is downloaded, and nothing in the folder is executed: the sizes
are read from its config.json, the words from its tokenizer.json, and the weights from safetensors,
strictly; what else lies there, a decoder or code, is left unread. A text's states are the same to
the last bit whatever is asked beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, check_fit
from generators.checkpoints.folders import (
    CONFIG,
    WEIGHTS,
    WORDS,
    bytes_in,
    check_kind,
    check_sizes,
    naming,
    table_of,
    tensors_in,
    tokenizer_of,
    weights_in,
)

PLACES = 120
FILES = (CONFIG, WORDS, WEIGHTS)
SHARED, OWN = "shared.weight", "encoder.embed_tokens.weight"  # one table under two names
SIZES = (
    "vocab_size",
    "d_model",
    "d_kv",
    "d_ff",
    "num_layers",
    "num_heads",
    "relative_attention_num_buckets",
)
FORWARD = ("relu", "gated-gelu")  # T5, and T5 1.1 with flan-t5
PADDING = "<pad>"


class NoEncoder(BadCheckpoint):
    """A folder that holds no T5 encoder; the text says which and why."""


_named = partial(naming, what="T5 encoder", error=NoEncoder)


@dataclass(frozen=True)
class Encoder:
    """What was read of a T5 encoder: sizes and words as they were written, and its own tensors."""

    name: str  # for errors
    config: bytes
    words: bytes
    tensors: dict[str, Tensor]

    @property
    def memory(self) -> int:
        """Bytes in single precision."""
        return 4 * sum(one.numel() for one in self.tensors.values())

    def save(self, folder: Path) -> None:
        """Write FILES into a folder, which the library could read too."""
        (folder / CONFIG).write_bytes(self.config)
        (folder / WORDS).write_bytes(self.words)
        tensors = {key: one.contiguous() for key, one in self.tensors.items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def encoder_files(folder: Path) -> list[Path]:
    """The files of an encoder in a folder that `save_pretrained` wrote; raises NoEncoder."""
    with _named(folder):
        return [folder / CONFIG, folder / WORDS, *weights_in(folder)]


def read_encoder(folder: Path) -> Encoder:
    """The encoder in a folder, without a decoder that may lie beside it; raises NoEncoder."""
    with _named(folder):
        tensors = tensors_in(folder, lambda key: key.startswith(("encoder.", SHARED)))
        own = tensors.pop(OWN, None)
        if own is not None and not torch.equal(tensors.setdefault(SHARED, own), own):
            raise BadCheckpoint(f"{OWN} is not {SHARED}")
        return Encoder(str(folder), bytes_in(folder, CONFIG), bytes_in(folder, WORDS), tensors)


class T5States:
    """Last hidden states (N, places, C) of texts, and which places are text (N, places).

    Raises NoEncoder, and BadCheckpoint for tensors that do not fit the sizes.
    """

    def __init__(self, encoder: Encoder, *, places: int = PLACES) -> None:
        with _named(encoder.name):
            config = _config(encoder.config)
            self._tokenizer = _padding(tokenizer_of(encoder.words, most=config.vocab_size), places)
        self.width: int = config.d_model
        self._model = _filled(config, encoder)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        known = {text: self._one(text) for text in dict.fromkeys(texts)}
        states, valid = zip(*(known[text] for text in texts), strict=True)
        return torch.cat(states), torch.cat(valid)

    def _one(self, text: str) -> tuple[Tensor, Tensor]:
        told = self._tokenizer.encode(text)
        valid = torch.tensor([told.attention_mask])
        states: Tensor = self._model(input_ids=torch.tensor([told.ids]), attention_mask=valid)[0]
        return states, valid.bool()


def _config(data: bytes) -> transformers.T5Config:
    """The sizes that config.json tells, and nothing else of it; raises BadCheckpoint."""
    told = table_of(data, file=CONFIG)
    check_kind(told, "t5")
    sizes: dict[str, Any] = {key: told.get(key) for key in SIZES}
    sizes["relative_attention_max_distance"] = told.get("relative_attention_max_distance", 128)
    check_sizes(sizes)
    forward, least = told.get("feed_forward_proj", "relu"), told.get("layer_norm_epsilon", 1e-6)
    if forward not in FORWARD or type(least) is not float:
        raise BadCheckpoint(f"{CONFIG} has the feed-forward {forward!r} and norms of {least!r}")
    return transformers.T5Config(**sizes, feed_forward_proj=forward, layer_norm_epsilon=least)


def _padding(tokenizer: Tokenizer, places: int) -> Tokenizer:
    """The tokenizer, making so many numbers of every text; raises BadCheckpoint."""
    padding = tokenizer.token_to_id(PADDING)
    if padding is None:
        raise BadCheckpoint(f"its tokenizer knows no {PADDING}")
    tokenizer.enable_truncation(places)
    tokenizer.enable_padding(length=places, pad_id=padding, pad_token=PADDING)
    return tokenizer


def _filled(config: transformers.T5Config, encoder: Encoder) -> transformers.T5EncoderModel:
    """The encoder in single precision; raises BadCheckpoint for tensors that do not fit."""
    with torch.device("meta"):  # takes no memory before everything is known to fit
        model = transformers.T5EncoderModel(config)
    given = {key: one.to(torch.float32, copy=True) for key, one in encoder.tensors.items()}
    if SHARED in given:
        given[OWN] = given[SHARED]
    check_fit(model, given, name=f"the T5 encoder of {encoder.name}")
    model.load_state_dict(given, strict=True, assign=True)
    model.train(mode=False).requires_grad_(requires_grad=False)
    return model
