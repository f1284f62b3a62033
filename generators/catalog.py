"""Every generator that can be named, and how to load it.

Weights are safetensors of half precision beside their model card in generators/weights/. A file is
loaded only if its SHA-256 is the one written here, and every tensor must fit: nothing missing,
nothing left over. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import nn

from generators.codecs.pyramid import PyramidCodec, PyramidConfig
from generators.codecs.vq import VQCodec, VQConfig
from generators.devices import CPU, PlacedCodec
from generators.interface import Codec, DiscreteModel
from generators.pyramid import PyramidModel, PyramidTransformer, PyramidTransformerConfig
from generators.raster import RasterConfig, RasterModel, RasterTransformer
from generators.sampling import Sampling
from generators.text import load_text

WEIGHTS = Path(__file__).parent / "weights"


class BadWeights(RuntimeError):
    """A weights file that is missing, altered, or of another model."""


@dataclass(frozen=True)
class Weights:
    """A file in generators/weights/ and its SHA-256, 32 bytes."""

    file: str
    digest: bytes


@dataclass(frozen=True)
class Spec:
    """One generator: what it draws, its licence, its files, and how its parts are built."""

    draws: str
    licence: str
    side: int  # px
    transformer: Weights
    codec: Weights  # what tokens mean; marks depend on its digest
    reader: Weights  # how tokens are read back and their grid is found; may improve by itself
    pairs: str  # file of the codec's perfect matching, for index swap
    build_model: Callable[[Weights, torch.device], DiscreteModel]
    build_codec: Callable[[Weights, Weights, torch.device], Codec]
    # How often a token is read back rightly, coarse to fine, of a model of several scales; what
    # marks are weighed by, so it is as fixed as they are.
    read_back: tuple[float, ...] = (1.0,)
    finds: bool = True  # whether its codec tells where its grid, of 8 px, lies in what was moved
    sampling: Sampling = Sampling()  # unless a wish has its own
    uploads: bool = False  # whether its codec marks pictures that exist already
    by_class: bool = False  # whether prompts are numbers of classes


@dataclass(frozen=True, eq=False)
class Generator:
    """A generator in memory."""

    name: str
    spec: Spec
    model: DiscreteModel
    codec: Codec


def load_into(module: nn.Module, *parts: Weights) -> None:
    """Fill a module from checked files, strictly, in float32."""
    tensors: dict[str, torch.Tensor] = {}
    for weights in parts:
        tensors |= {name: tensor.float() for name, tensor in load(_read(weights)).items()}
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as e:
        files = ", ".join(str(WEIGHTS / weights.file) for weights in parts)
        raise BadWeights(f"{files} does not fit: {str(e).splitlines()[-1].strip()}") from e
    module.eval().requires_grad_(requires_grad=False)


def _read(weights: Weights) -> bytes:
    path = WEIGHTS / weights.file
    try:
        data = path.read_bytes()
    except OSError as e:
        raise BadWeights(f"{path}: {e.strerror}") from e
    digest = hashlib.sha256(data).digest()
    if digest != weights.digest:
        raise BadWeights(
            f"{path} has SHA-256 {digest.hex()[:16]}..., the catalog expects "
            f"{weights.digest.hex()[:16]}..."
        )
    return data


def _icons_model(weights: Weights, device: torch.device) -> DiscreteModel:
    transformer = RasterTransformer(RasterConfig())
    load_into(transformer, weights)
    return RasterModel(transformer.to(device), load_text())


def _icons_codec(weights: Weights, reader: Weights, device: torch.device) -> Codec:
    return _one_scale(weights, reader).to(device)


def _one_scale(weights: Weights, reader: Weights) -> VQCodec:
    codec = VQCodec(VQConfig())
    load_into(codec, weights, reader)
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return codec


def _scales_model(weights: Weights, device: torch.device) -> DiscreteModel:
    transformer = PyramidTransformer(PyramidTransformerConfig())
    load_into(transformer, weights)
    codebook = _one_scale(ICONS_CODEC, ICONS_READER).codebook.to(device)
    return PyramidModel(transformer.to(device), codebook, load_text())


def _scales_codec(weights: Weights, reader: Weights, device: torch.device) -> Codec:
    return PyramidCodec(_one_scale(weights, reader).to(device), PyramidConfig())


ICONS_CODEC = Weights(
    "icons-128-codec.safetensors",
    bytes.fromhex("c59e6ef659b8b1379c5b8a43b8ef1082bc6bebf9bbb74cb715435733858f5dc7"),
)
ICONS_READER = Weights(
    "icons-128-reader.safetensors",
    bytes.fromhex("7dcabfecb25707ff73d7efac2a845d8498e11dc16002953a4c6e2982ef53066c"),
)

GENERATORS: dict[str, Spec] = {
    "icons-128": Spec(
        draws="one thing in the style of 3D icons, 128 px",
        licence="Apache-2.0; trained on MIT-licensed icons and permissively licensed photographs",
        side=128,
        transformer=Weights(
            "icons-128.safetensors",
            bytes.fromhex("40ca76d5f9dd136594f0ce3e3d164c34b003ed133d62777121959db785941caa"),
        ),
        codec=ICONS_CODEC,
        reader=ICONS_READER,
        pairs="icons-128-pairs.safetensors",
        build_model=_icons_model,
        build_codec=_icons_codec,
        uploads=True,
    ),
    "icons-128-scales": Spec(
        draws="one thing in the style of 3D icons, 128 px, scale by scale",
        licence="Apache-2.0; trained on MIT-licensed icons and permissively licensed photographs",
        side=128,
        transformer=Weights(
            "icons-128-scales.safetensors",
            bytes.fromhex("90f31f3fe9c4d1fd375590a7ab0408df90fe76a13391a5c43125ef5d65c925fa"),
        ),
        codec=ICONS_CODEC,
        reader=ICONS_READER,
        pairs="icons-128-pairs.safetensors",
        build_model=_scales_model,
        build_codec=_scales_codec,
        read_back=(0.2, 0.1, 0.15, 0.15, 0.97),
    ),
}


EMBEDDED = tuple(GENERATORS)  # those that come with this package


class UnknownGenerator(ValueError):
    """No generator of that name; the text lists the names."""


# Of generators that were brought and cannot be told any more: why. The others are not held up.
DAMAGED: dict[str, str] = {}


def find(name: str) -> Spec:
    """The spec of a name; raises UnknownGenerator, and BadWeights for a damaged one."""
    if name in DAMAGED:
        raise BadWeights(DAMAGED[name])
    if name not in GENERATORS:
        raise UnknownGenerator(f"no model is called {name!r}; there are: {', '.join(GENERATORS)}")
    return GENERATORS[name]


def load_codec(name: str) -> Codec:
    """The codec alone: all that verifying needs."""
    spec = find(name)
    return spec.build_codec(spec.codec, spec.reader, CPU)


def load_generator(name: str, *, device: torch.device = CPU) -> Generator:
    """Transformer and codec on a device, and the prompt encoder, which stays on the processor."""
    spec = find(name)
    model = spec.build_model(spec.transformer, device)
    codec = spec.build_codec(spec.codec, spec.reader, device)
    return Generator(name, spec, model, codec if device == CPU else PlacedCodec(codec, device))
