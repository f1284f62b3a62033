"""Folders as `save_pretrained` of transformers writes them, read without executing anything.

Sizes are read from JSON, words from tokenizer.json, weights from safetensors or their shards; a
pickle is not opened, and what nobody asks for is left unread. Faults are BadCheckpoint, without
the folder's name: `naming` puts it before them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, read_some

CONFIG, WORDS, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
SHARDS = "model-*-of-*.safetensors"  # instead of WEIGHTS, where they are large
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


@contextmanager
def naming(place: object, what: str, error: type[BadCheckpoint] = BadCheckpoint) -> Iterator[None]:
    """Faults within are told as `error`, and that the place holds no such thing."""
    try:
        yield
    except BadCheckpoint as e:
        raise error(f"{place} holds no {what}: {e}") from e


def weights_in(folder: Path) -> list[Path]:
    """The files of weights; raises BadCheckpoint."""
    weights = [folder / WEIGHTS] if (folder / WEIGHTS).exists() else sorted(folder.glob(SHARDS))
    if weights:
        return weights
    pickles = sorted(file.name for file in folder.glob("*") if file.suffix in PICKLES)
    if pickles:
        raise BadCheckpoint(
            f"its weights are there as {pickles[0]}, which is not opened: save them as safetensors"
        )
    raise BadCheckpoint(f"there is no {WEIGHTS}")


def bytes_in(folder: Path, name: str) -> bytes:
    """A file as it is; raises BadCheckpoint."""
    try:
        return (folder / name).read_bytes()
    except OSError as e:
        raise BadCheckpoint(f"{name}: {e.strerror}") from e


def tensors_in(folder: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """Tensors by name, those that are wanted; the others are not read. Raises BadCheckpoint."""
    tensors = dict[str, Tensor]()
    for file in weights_in(folder):
        tensors |= read_some(file, wanted)
    return tensors


def table_of(data: bytes, *, file: str) -> dict[str, Any]:
    """What a file of JSON tells; raises BadCheckpoint for what is no table."""
    try:
        told = json.loads(data)
    except ValueError as e:
        raise BadCheckpoint(f"{file} is no JSON") from e
    if not isinstance(told, dict):
        raise BadCheckpoint(f"{file} is no table")
    return told


def check_kind(config: Mapping[str, Any], kind: str) -> None:
    """Raise BadCheckpoint unless config.json names the kind of model."""
    if config.get("model_type") != kind:
        raise BadCheckpoint(f"{CONFIG} names the model {config.get('model_type')!r}")


def check_sizes(sizes: Mapping[str, object], *, file: str = CONFIG) -> None:
    """Raise BadCheckpoint unless every size is a whole number above nothing."""
    for key, value in sizes.items():
        if type(value) is not int or value < 1:
            raise BadCheckpoint(f"{key} is {value!r} in {file}")


def tokenizer_of(words: bytes, *, most: int) -> Tokenizer:
    """What makes numbers below `most` of a text; raises BadCheckpoint."""
    try:
        tokenizer = Tokenizer.from_str(words.decode())
    except Exception as e:  # the library raises nothing narrower
        raise BadCheckpoint(f"{WORDS} is no tokenizer") from e
    last = max(tokenizer.get_vocab().values(), default=0)
    if last >= most:
        raise BadCheckpoint(f"its tokenizer has a word {last}, and its table {most} words")
    return tokenizer
