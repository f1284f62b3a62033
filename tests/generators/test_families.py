"""What a family builds stands on the one device that was asked for."""

from pathlib import Path

import torch

from generators.checkpoints.janus import read_files, read_parts
from generators.checkpoints.layouts import Layout
from generators.families import FAMILIES
from generators.huggingface.causal import CausalModel
from generators.huggingface.janus import JanusCodec, JanusNetwork
from generators.llamagen import LlamaGenModel
from tests.generators.checkpoints.parity import vectors
from tests.generators.huggingface import tiny
from tests.generators.test_imported import JANUS, card

META = torch.device("meta")


def test_a_janus_and_its_codec_are_moved(tmp_path: Path) -> None:
    folder = tiny.save_janus(tmp_path / "janus")
    files, (transformer, codec) = read_files(folder), read_parts(folder)
    family, told = FAMILIES[Layout.JANUS], card(**JANUS)
    decoder = family.codec(told, codec, files, META)
    assert isinstance(decoder, JanusCodec)
    assert decoder.codes.vectors.device == META
    tokens = torch.zeros(1, tiny.SIDE, tiny.SIDE, dtype=torch.int64, device=META)
    assert decoder.read(decoder.decode(tokens)).tokens.device == META
    model = family.model(told, transformer, decoder, files, META)
    assert isinstance(model, CausalModel)
    assert isinstance(model.network, JanusNetwork)
    begun = model.network.begin(["a cat", "owl"])
    inputs = [model.network.read(begun.ids), model.network.feed(begun.ids[:, 0], 1)]
    assert {one.device for one in (*begun, *inputs)} == {META}


def test_a_llamagen_is_moved() -> None:
    family, told = FAMILIES[Layout.LLAMAGEN], card(tokens=4, heads=4)
    codec = family.codec(told, vectors("llamagen_vq")[0], None, META)
    model = family.model(told, vectors("llamagen_c2i")[0], codec, None, META)
    assert isinstance(model, LlamaGenModel)
    moved = (codec.codes.vectors, *model.transformer.parameters())
    assert {one.device for one in moved} == {META}
