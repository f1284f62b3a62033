"""Looking at a generator that was brought: which it is, and whether all of it is there and fits.

LlamaGen and VAR are files of a transformer and a codec, told by the names of their tensors; Janus
is a folder, told by its config.json. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from generators.cards import ENCODER, Card, Kept, Prompts
from generators.checkpoints import janus, llamagen, var
from generators.checkpoints.files import BadCheckpoint, read
from generators.checkpoints.layouts import CAPTIONS, Layout, Part, recognise
from generators.devices import CPU
from generators.families import family_of
from generators.imported import digest_of
from generators.interface import Codec, DiscreteModel
from generators.t5 import encoder_files, read_encoder

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


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
    beside: Kept | None
    model: DiscreteModel
    decoder: Codec


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
    if wanted.layout is Layout.JANUS or any(janus.is_janus(path) for path in wanted.paths):
        return _look_at_folder(wanted)
    return _look_at_files(wanted)


def _look_at_folder(wanted: Wanted) -> Found:
    """A Janus, as transformers saves it."""
    folder, name = wanted.paths[0], wanted.name
    if wanted.layout not in (None, Layout.JANUS):
        raise BadCheckpoint(f"{folder} has the layout {Layout.JANUS}, not {wanted.layout}")
    if len(wanted.paths) > 1:
        raise BadCheckpoint(f"a Janus is one folder, and {len(wanted.paths)} paths are named")
    if wanted.weights != "single":
        raise BadCheckpoint(f"{name}: weights of Janus are kept in single precision only")
    if wanted.encoder is not None:
        raise BadCheckpoint(f"{name} reads its prompts itself: --text-encoder is not for it")
    files = janus.read_files(folder)
    sizes = janus.sizes_of(files)
    sources = _sources(janus.janus_files(folder), wanted)
    transformer, codec = janus.read_parts(folder)
    card = _card(
        wanted,
        Layout.JANUS,
        prompts=Prompts.TEXT,
        classes=0,
        tokens=sizes.vq.num_patches,
        stride=janus.stride_of(sizes.vq),
        heads=sizes.text.num_attention_heads,
        sources=sources,
    )
    return _loaded(card, transformer, codec, files)


def _look_at_files(wanted: Wanted) -> Found:
    """A LlamaGen or a VAR."""
    files = gathered(wanted.paths)
    sources = _sources(files, wanted)
    parts = dict[Part, tuple[Layout, Path, dict[str, Tensor]]]()
    for file in files:
        tensors = read(file)
        layout, part = recognise(tensors, name=str(file))
        if part in parts:
            raise BadCheckpoint(f"{parts[part][1]} and {file} are both a {part}: name one of them")
        parts[part] = (layout, file, tensors)
    layout = _agreed(parts, wanted)
    transformer, codec = parts[Part.TRANSFORMER][2], parts[Part.CODEC][2]
    if layout is Layout.LLAMAGEN:
        card, codes = _llamagen_card(wanted, transformer, codec, sources)
    else:
        card, codes = _var_card(wanted, transformer, sources)
    card, encoder = _with_encoder(card, wanted)
    found = _loaded(card, transformer, codec, encoder)
    if found.decoder.codes.size != codes:
        raise BadCheckpoint(
            f"the transformer has {codes} codes and the codec {found.decoder.codes.size}: they are "
            "not of one model"
        )
    return found


def _sources(files: Sequence[Path], wanted: Wanted) -> dict[str, str]:
    """SHA-256 of the files by name, in hex; raises BadCheckpoint if it is not as it should be."""
    sources = {file.name: digest_of(file).hex() for file in files}
    if wanted.digest is not None and wanted.digest.lower() not in sources.values():
        told = ", ".join(f"{name} {digest}" for name, digest in sources.items())
        raise BadCheckpoint(f"no file has the SHA-256 {wanted.digest}; there are: {told}")
    return sources


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


def _llamagen_card(
    wanted: Wanted,
    transformer: dict[str, Tensor],
    codec: dict[str, Tensor],
    sources: dict[str, str],
) -> tuple[Card, int]:
    """What names and shapes tell of a LlamaGen, and how many codes its transformer has."""
    sizes = llamagen.transformer_config(
        transformer, name=wanted.name, side=wanted.tokens, heads=wanted.heads
    )
    card = _card(
        wanted,
        Layout.LLAMAGEN,
        prompts=Prompts.TEXT if CAPTIONS in transformer else Prompts.CLASSES,
        classes=sizes.classes,
        tokens=sizes.side,
        stride=llamagen.codec_config(codec, name=wanted.name).stride,
        heads=sizes.heads,
        sources=sources,
    )
    return card, sizes.codes


def _var_card(
    wanted: Wanted, transformer: dict[str, Tensor], sources: dict[str, str]
) -> tuple[Card, int]:
    """What names and shapes tell of a VAR, and how many codes its transformer has."""
    if wanted.weights != "single":
        raise BadCheckpoint(f"{wanted.name}: weights of VAR are kept in single precision only")
    scales = var.transformer_config(transformer, name=wanted.name)
    card = _card(
        wanted,
        Layout.VAR,
        prompts=Prompts.CLASSES,
        classes=scales.classes,
        tokens=scales.sides[-1],
        stride=16,
        heads=scales.heads,
        sources=sources,
    )
    return card, scales.codes


def _card(
    wanted: Wanted,
    layout: Layout,
    *,
    prompts: Prompts,
    classes: int,
    tokens: int,
    stride: int,
    heads: int,
    sources: dict[str, str],
) -> Card:
    """What is told; nothing is counted or measured yet."""
    return Card(
        name=wanted.name,
        layout=layout.value,
        licence=wanted.licence,
        classes=classes,
        tokens=tokens,
        stride=stride,
        heads=heads,
        weights=wanted.weights,
        transformer="",
        codec="",
        sources=sources,
        read_back=(),
        pictures=0,
        seconds=0.0,
        memory=0,
        added=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        prompts=prompts.value,
    )


def _with_encoder(card: Card, wanted: Wanted) -> tuple[Card, Kept | None]:
    """The card with what is known of the text encoder, and that; raises BadCheckpoint."""
    if wanted.encoder is None:
        if card.encoded:
            raise BadCheckpoint(
                f"{card.name} is asked by text: name the T5 encoder that it was trained with by "
                "--text-encoder, and its licence by --encoder-licence"
            )
        return card, None
    if not card.encoded:
        raise BadCheckpoint(f"{card.name} is asked by class: --text-encoder is not for it")
    encoder = read_encoder(wanted.encoder)
    files = encoder_files(wanted.encoder)
    sources = {f"{ENCODER}/{file.name}": digest_of(file).hex() for file in files}
    licence = wanted.encoder_licence
    return replace(card, sources=card.sources | sources, encoder_licence=licence), encoder


def _loaded(
    card: Card, transformer: dict[str, Tensor], codec: dict[str, Tensor], beside: Kept | None
) -> Found:
    """What was found, once it makes a model and a codec, and its memory; raises BadCheckpoint."""
    numbers = _numbers(transformer.values()) * (2 if card.weights == "half" else 4)
    memory = numbers + 4 * _numbers(codec.values()) + (beside.memory if beside else 0)
    family, card = family_of(card), replace(card, memory=memory)
    decoder = family.codec(card, codec, beside, CPU)
    model = family.model(card, transformer, decoder, beside, CPU)
    return Found(card, transformer, codec, beside, model, decoder)


def _numbers(tensors: Iterable[Tensor]) -> int:
    return sum(one.numel() for one in tensors)
