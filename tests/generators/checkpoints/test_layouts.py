import pytest
import torch

from generators.checkpoints.files import BadCheckpoint
from generators.checkpoints.layouts import Layout, Part, recognise
from tests.generators.checkpoints.parity import vectors


@pytest.mark.parametrize(
    ("file", "layout", "part"),
    [
        ("llamagen_c2i", Layout.LLAMAGEN, Part.TRANSFORMER),
        ("llamagen_t2i", Layout.LLAMAGEN, Part.TRANSFORMER),
        ("llamagen_vq", Layout.LLAMAGEN, Part.CODEC),
        ("var_transformer", Layout.VAR, Part.TRANSFORMER),
        ("var_vqvae", Layout.VAR, Part.CODEC),
    ],
)
def test_official_files_are_recognised(file: str, layout: Layout, part: Part) -> None:
    weights, _, _ = vectors(file)
    assert recognise(weights, name=file) == (layout, part)


def test_weights_of_a_janus_are_told_to_want_their_folder() -> None:
    key = "model.generation_head.vision_head.weight"
    with pytest.raises(BadCheckpoint, match=r"one\.safetensors is of a Janus: bring its folder"):
        recognise({key: torch.zeros(1)}, name="one.safetensors")


def test_what_has_no_known_layout_is_said_to_have_none() -> None:
    with pytest.raises(BadCheckpoint, match=r"bert\.pt has no layout .*: it holds a, b$"):
        recognise({"b": torch.zeros(1), "a": torch.zeros(1)}, name="bert.pt")
