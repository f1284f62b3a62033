"""What official code gave on small random weights: vectors as the tests need them."""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

VECTORS = Path(__file__).parents[2] / "vectors"


def vectors(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """Weights under their official names, inputs and outputs, and the sizes."""
    with safe_open(VECTORS / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        sizes = json.loads(file.metadata()["config"])
    weights = {
        k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")
    }
    return (
        weights,
        {k.removeprefix("io."): v for k, v in tensors.items() if k.startswith("io.")},
        sizes,
    )


def apart(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest number wanted."""
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())
