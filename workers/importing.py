"""Bringing a generator into the catalog: recognise, convert, write a card.

Files that somebody brings are read as plain tensors and written once as safetensors into the data
folder, with a card beside them; so is the text encoder that a model by text is asked through, of
which sizes and words are kept as they came. What is measured is in `workers.trying`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors.torch import save_file
from torch import Tensor

from generators.catalog import GENERATORS
from generators.checkpoints import llamagen, var
from generators.checkpoints.files import BadCheckpoint, read
from generators.checkpoints.layouts import CAPTIONS, Layout, Part, recognise
from generators.codecs.residual import ResidualCodec
from generators.codecs.vqgan import VQGANCodec
from generators.imported import (
    CARD,
    CODEC,
    ENCODER,
    PAIRS,
    TRANSFORMER,
    Card,
    Prompts,
    build_codec,
    build_model,
    check_commercial,
    digest_of,
)
from generators.llamagen import LlamaGenModel
from generators.scales import ScalesModel
from generators.t5 import (
    CONFIG,
    FILES,
    SHARDS,
    WEIGHTS,
    WORDS,
    Encoder,
    encoder_files,
    read_encoder,
)
from provenance.files import write_file
from provenance.watermark.matching import Metric, match_codes
from workers.brought import MODELS, USE, is_commercial
from workers.folder import DataFolder

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
TENSORS = tuple(f"*{end}" for end in SUFFIXES)  # what is fetched of a model
ENCODERS = (*FILES, SHARDS)  # what is fetched of a text encoder


@dataclass(frozen=True)
class Wanted:
    """What the person who brings a generator says of it; None is told from the files."""

    paths: tuple[Path, ...]
    name: str
    licence: str
    layout: Layout | None = None
    tokens: int = 16  # a side
    heads: int | None = None
    weights: str = "single"
    digest: str | None = None  # SHA-256 that one of the files must have, hex
    encoder: Path | None = None  # the folder of a text encoder
    encoder_licence: str = ""


@dataclass(frozen=True)
class Found:
    """Files that make a generator, loaded, and what is known before anything is measured."""

    card: Card
    transformer: dict[str, Tensor]
    codec: dict[str, Tensor]
    model: LlamaGenModel | ScalesModel
    decoder: VQGANCodec | ResidualCodec
    encoder: Encoder | None  # of a model by text


def declare_commercial(folder: DataFolder) -> None:
    """From now on weights whose licence is not known to allow commercial use are refused."""
    write_file(folder.path / USE, f"declared {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())


def fetched(place: str, patterns: Sequence[str] = TENSORS) -> Path:
    """A path as it is, or what a repository of the Hugging Face hub has of the patterns, once here.

    Raises BadCheckpoint for what is neither, and if the hub cannot be reached.
    """
    if Path(place).exists():
        return Path(place)
    if not HUB.fullmatch(place):
        raise BadCheckpoint(f"there is no file or folder {place}, and it is no id of the hub")
    try:
        return Path(snapshot_download(place, allow_patterns=list(patterns)))
    except (OSError, ValueError, HFValidationError) as e:
        reason = " ".join(str(e).split())[:200]
        raise BadCheckpoint(
            f"there is no file or folder {place}, and the Hugging Face hub does not give it: "
            f"{type(e).__name__}: {reason}"
        ) from e


def gathered(paths: Sequence[Path]) -> list[Path]:
    """The files of tensors among paths and in folders of them; raises BadCheckpoint."""
    files = list[Path]()
    for path in paths:
        some = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [file for file in some if not path.is_dir() or file.suffix in SUFFIXES]
    if not files:
        raise BadCheckpoint(f"{paths[0]} holds no file of tensors ({', '.join(SUFFIXES)})")
    return files


def look(wanted: Wanted) -> Found:
    """Read, recognise and load what was brought; raises BadCheckpoint and CannotHalve."""
    files = gathered(wanted.paths)
    sources = {file.name: digest_of(file).hex() for file in files}
    if wanted.digest is not None and wanted.digest.lower() not in sources.values():
        told = ", ".join(f"{name} {digest}" for name, digest in sources.items())
        raise BadCheckpoint(f"no file has the SHA-256 {wanted.digest}; there are: {told}")
    parts = dict[Part, tuple[Layout, Path, dict[str, Tensor]]]()
    for file in files:
        tensors = read(file)
        layout, part = recognise(tensors, name=str(file))
        if part in parts:
            raise BadCheckpoint(f"{parts[part][1]} and {file} are both a {part}: name one of them")
        parts[part] = (layout, file, tensors)
    layout = _agreed(parts, wanted)
    transformer, codec = parts[Part.TRANSFORMER][2], parts[Part.CODEC][2]
    card = _card(wanted, layout, transformer, codec, sources)
    encoder = None if wanted.encoder is None else read_encoder(wanted.encoder)
    decoder = build_codec(card, codec)
    model = build_model(card, transformer, decoder, encoder)
    if not len(decoder.codes.vectors) == _codes(model):
        raise BadCheckpoint(
            f"the transformer has {_codes(model)} codes and the codec "
            f"{len(decoder.codes.vectors)}: they are not of one model"
        )
    return Found(_with_encoder(card, wanted, encoder), transformer, codec, model, decoder, encoder)


def _with_encoder(card: Card, wanted: Wanted, encoder: Encoder | None) -> Card:
    """The card with what is known of the text encoder."""
    if wanted.encoder is None or encoder is None:
        return card
    files = encoder_files(wanted.encoder)
    sources = {f"{ENCODER}/{file.name}": digest_of(file).hex() for file in files}
    return replace(
        card,
        sources=card.sources | sources,
        encoder_licence=wanted.encoder_licence,
        memory=card.memory + 4 * _numbers(encoder.tensors),
    )


def _agreed(parts: dict[Part, tuple[Layout, Path, dict[str, Tensor]]], wanted: Wanted) -> Layout:
    """The one layout of both parts; raises BadCheckpoint."""
    for part in Part:
        if part not in parts:
            had = ", ".join(f"{file} is a {one}" for one, (_, file, _) in parts.items())
            raise BadCheckpoint(f"a transformer and its codec are needed: {had}, no {part} is here")
    for layout, file, _ in parts.values():
        if wanted.layout not in (None, layout):
            raise BadCheckpoint(f"{file} has the layout {layout}, not {wanted.layout}")
    layouts = {layout for layout, _, _ in parts.values()}
    if len(layouts) != 1:
        told = ", ".join(f"{file} has that of {layout}" for layout, file, _ in parts.values())
        raise BadCheckpoint(f"transformer and codec are of unlike layouts: {told}")
    return layouts.pop()


def _card(
    wanted: Wanted,
    layout: Layout,
    transformer: dict[str, Tensor],
    codec: dict[str, Tensor],
    sources: dict[str, str],
) -> Card:
    """What names and shapes tell; nothing is measured yet."""
    name, heads, weights = wanted.name, wanted.heads, wanted.weights
    if layout is Layout.LLAMAGEN:
        sizes = llamagen.transformer_config(
            transformer, name=name, side=wanted.tokens, heads=wanted.heads
        )
        classes, tokens, heads = sizes.classes, sizes.side, sizes.heads
        stride = llamagen.codec_config(codec, name=name).stride
    else:
        if weights != "single":
            raise BadCheckpoint(f"{name}: weights of VAR are kept in single precision only")
        scales = var.transformer_config(transformer, name=name)
        classes, tokens, heads, stride = scales.classes, scales.sides[-1], scales.heads, 16
    return Card(
        name=name,
        layout=layout.value,
        licence=wanted.licence,
        classes=classes,
        tokens=tokens,
        stride=stride,
        heads=heads,
        weights=weights,
        transformer="",
        codec="",
        sources=sources,
        read_back=(),
        pictures=0,
        seconds=0.0,
        memory=_memory(transformer, codec, weights),
        added=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        prompts=(Prompts.TEXT if CAPTIONS in transformer else Prompts.CLASSES).value,
    )


def _codes(model: LlamaGenModel | ScalesModel) -> int:
    return model.transformer.config.codes


def _memory(transformer: dict[str, Tensor], codec: dict[str, Tensor], weights: str) -> int:
    """Bytes of weights; single precision, or half of it."""
    return _numbers(transformer) * (2 if weights == "half" else 4) + _numbers(codec) * 4


def _numbers(tensors: dict[str, Tensor]) -> int:
    return sum(one.numel() for one in tensors.values())


def keep(folder: DataFolder, found: Found, card: Card) -> Card:
    """Write weights, pairs of codes, encoder and card into the data folder, all or nothing."""
    place = folder.path / MODELS
    place.mkdir(mode=0o700, exist_ok=True)
    new = Path(mkdtemp(dir=place, prefix=f".{card.name}."))
    try:
        for name, tensors in ((TRANSFORMER, found.transformer), (CODEC, found.codec)):
            save_file({key: one.contiguous() for key, one in tensors.items()}, new / name)
        first, second = (digest_of(new / name) for name in (TRANSFORMER, CODEC))
        card = replace(card, transformer=first.hex(), codec=second.hex())
        codes = found.decoder.codes
        pairs = match_codes(codes.vectors.numpy(force=True), Metric(codes.metric))
        pairs.save(new / PAIRS, second)
        if found.encoder is not None:
            card = replace(card, encoder=_keep_encoder(new / ENCODER, found.encoder))
        write_file(new / CARD, card.text())
        new.rename(place / card.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # gone already if it was renamed
    return card


def _keep_encoder(place: Path, encoder: Encoder) -> dict[str, str]:
    """Write the encoder into a new folder, which the library could read too; its digests, hex."""
    place.mkdir(mode=0o700)
    write_file(place / CONFIG, encoder.config)
    write_file(place / WORDS, encoder.words)
    tensors = {key: one.contiguous() for key, one in encoder.tensors.items()}
    save_file(tensors, place / WEIGHTS, metadata={"format": "pt"})
    return {name: digest_of(place / name).hex() for name in FILES}


def check_name(folder: DataFolder, name: str) -> None:
    """Raise BadCheckpoint for a name that cannot be one, or that is taken."""
    if not NAME.fullmatch(name):
        raise BadCheckpoint(f"{name!r} is no name of a model: small letters, digits, dots, dashes")
    if name in GENERATORS or (folder.path / MODELS / name).exists():
        raise BadCheckpoint(f"a model called {name} is there already: say another --name")


def check_licence(folder: DataFolder, card: Card) -> None:
    """Raise NotCommercial where the licence does not allow what this installation is for."""
    if is_commercial(folder.path):
        check_commercial(card)
