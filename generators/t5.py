"""The states that LlamaGen's text models are asked with: T5's encoder, from a folder.

The published models were trained with the encoder of flan-t5-xl (Apache-2.0): 120 places, padded
after the text, truncated. Nothing is downloaded, and nothing in the folder is executed: the sizes
are read from its config.json, the words from its tokenizer.json, and the weights from safetensors,
strictly; what else lies there, a decoder or code, is left unread. A text's states are the same to
the last bit whatever is asked beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, check_fit, read

PLACES = 120
CONFIG, WORDS, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
FILES = (CONFIG, WORDS, WEIGHTS)
SHARDS = "model-*-of-*.safetensors"  # instead of WEIGHTS, where they are large
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
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


@dataclass(frozen=True)
class Encoder:
    """What was read of a T5 encoder: sizes and words as they were written, and its own tensors."""

    name: str  # for errors
    config: bytes
    words: bytes
    tensors: dict[str, Tensor]


def encoder_files(folder: Path) -> list[Path]:
    """The files of an encoder in a folder that `save_pretrained` wrote; raises NoEncoder."""
    weights = [folder / WEIGHTS] if (folder / WEIGHTS).exists() else sorted(folder.glob(SHARDS))
    if weights:
        return [folder / CONFIG, folder / WORDS, *weights]
    pickles = sorted(file.name for file in folder.glob("*") if file.suffix in PICKLES)
    if pickles:
        raise NoEncoder(
            f"{folder} has the weights of its T5 encoder as {pickles[0]}, which is not opened: "
            "save them as safetensors"
        )
    raise NoEncoder(f"{folder} holds no T5 encoder: there is no {WEIGHTS}")


def read_encoder(folder: Path) -> Encoder:
    """The encoder in a folder, without a decoder that may lie beside it; raises NoEncoder."""
    config, words, *weights = encoder_files(folder)
    tensors = dict[str, Tensor]()
    try:
        sizes, vocabulary = config.read_bytes(), words.read_bytes()
        for file in weights:
            tensors |= {k: v for k, v in read(file).items() if k.startswith(("encoder.", SHARED))}
    except OSError as e:
        missing = Path(e.filename).name
        raise NoEncoder(f"{folder} holds no T5 encoder: {missing}: {e.strerror}") from e
    except BadCheckpoint as e:
        raise NoEncoder(f"{folder} holds no T5 encoder: {e}") from e
    own = tensors.pop(OWN, None)
    if own is not None and not torch.equal(tensors.setdefault(SHARED, own), own):
        raise NoEncoder(f"{folder} holds no T5 encoder: {OWN} is not {SHARED}")
    return Encoder(str(folder), sizes, vocabulary, tensors)


class T5States:
    """Last hidden states (N, places, C) of texts, and which places are text (N, places).

    Raises NoEncoder, and BadCheckpoint for tensors that do not fit the sizes.
    """

    def __init__(self, encoder: Encoder, *, places: int = PLACES) -> None:
        config = _config(encoder)
        self.width: int = config.d_model
        self._tokenizer = _tokenizer(encoder, places=places, most=config.vocab_size)
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


def _config(encoder: Encoder) -> transformers.T5Config:
    """The sizes that config.json tells, and nothing else of it; raises NoEncoder."""
    try:
        told = json.loads(encoder.config)
    except ValueError as e:
        raise NoEncoder(f"{encoder.name} holds no T5 encoder: {CONFIG} is no JSON") from e
    kind = told.get("model_type") if isinstance(told, dict) else None
    if kind != "t5":
        raise NoEncoder(f"{encoder.name} holds no T5 encoder: {CONFIG} names the model {kind!r}")
    sizes = {key: told.get(key) for key in SIZES}
    sizes["relative_attention_max_distance"] = told.get("relative_attention_max_distance", 128)
    for key, value in sizes.items():
        if type(value) is not int or value < 1:
            raise NoEncoder(f"{encoder.name} holds no T5 encoder: {key} is {value!r} in {CONFIG}")
    forward, least = told.get("feed_forward_proj", "relu"), told.get("layer_norm_epsilon", 1e-6)
    if forward not in FORWARD or type(least) is not float:
        raise NoEncoder(
            f"{encoder.name} holds no T5 encoder: {CONFIG} has the feed-forward {forward!r} and "
            f"norms of {least!r}"
        )
    return transformers.T5Config(**sizes, feed_forward_proj=forward, layer_norm_epsilon=least)


def _tokenizer(encoder: Encoder, *, places: int, most: int) -> Tokenizer:
    """What makes `places` numbers below `most` of a text; raises NoEncoder."""
    try:
        tokenizer = Tokenizer.from_str(encoder.words.decode())
    except Exception as e:  # the library raises nothing narrower
        raise NoEncoder(f"{encoder.name} holds no T5 encoder: {WORDS} is no tokenizer") from e
    padding = tokenizer.token_to_id(PADDING)
    if padding is None:
        raise NoEncoder(f"{encoder.name} holds no T5 encoder: its tokenizer knows no {PADDING}")
    last = max(tokenizer.get_vocab().values())
    if last >= most:
        raise NoEncoder(
            f"{encoder.name} holds no T5 encoder: its tokenizer has a word {last}, and its table "
            f"{most} words"
        )
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
