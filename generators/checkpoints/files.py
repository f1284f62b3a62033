"""Files of official weights, read safely and loaded strictly.

A pickle is read as plain tensors: one that would run code is refused. A tensor that is missing,
left over or of another shape is named.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

TABLES = ("model", "module", "state_dict")  # under which training scripts keep the weights
NAMED = 5  # tensors that an error names

Module = TypeVar("Module", bound=nn.Module)


class BadCheckpoint(ValueError):
    """A file that is not the checkpoint it should be; the text says which and what is wrong."""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pt or .pth file by name; raises BadCheckpoint.

    What a training script saved beside them (its arguments, its optimiser) is left unread.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):  # attributes and no code
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise BadCheckpoint(f"{path}: {e.strerror or e}") from e
    except pickle.UnpicklingError as e:
        raise BadCheckpoint(f"{path} holds more than tensors and is not opened") from e
    except (SafetensorError, RuntimeError, EOFError, ValueError) as e:
        reason = str(e).partition("\n")[0]
        raise BadCheckpoint(f"{path} is cut short or no file of tensors: {reason}") from e
    if isinstance(state, dict):
        state = next(
            (state[table] for table in TABLES if isinstance(state.get(table), dict)), state
        )
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadCheckpoint(f"{path} is no table of named tensors")
    return state


def read_some(path: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """The wanted tensors of a .safetensors file by name; raises BadCheckpoint."""
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys() if wanted(key)}  # noqa: SIM118
    except OSError as e:
        raise BadCheckpoint(f"{path}: {e.strerror or e}") from e
    except SafetensorError as e:
        reason = str(e).partition("\n")[0]
        raise BadCheckpoint(f"{path} is cut short or no file of tensors: {reason}") from e


def shape_of(
    tensors: Mapping[str, Tensor], key: str, *, name: str, layout: str, dims: int
) -> torch.Size:
    """The shape of a tensor that the layout has; raises BadCheckpoint."""
    if key not in tensors:
        raise BadCheckpoint(f"{name} is not of {layout}'s layout: it has no tensor {key}")
    shape = tensors[key].shape
    if len(shape) != dims:
        raise BadCheckpoint(f"{name}: {key} has {len(shape)} dimensions instead of {dims}")
    return shape


def check_fit(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    name: str,
    computed: Collection[str] = (),
) -> None:
    """Raise BadCheckpoint unless the tensors are the module's, all and no others.

    Buffers whose names end as `computed` say follow from the sizes: they may be left out, and must
    otherwise be what the sizes give.
    """
    own = module.state_dict()
    optional = {key for key in own if key.endswith(tuple(computed))} if computed else set()
    faults = [f"{key} is missing" for key in own if key not in tensors and key not in optional]
    faults += [f"{key} is not part of it" for key in tensors if key not in own]
    faults += [
        f"{key} is {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    faults = faults or [
        f"{key} is not what the sizes give"
        for key in optional & tensors.keys()
        if not torch.equal(tensors[key].to(own[key]), own[key])
    ]
    if faults:
        more = f" and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise BadCheckpoint(f"{name} does not fit: {'; '.join(faults[:NAMED])}{more}")


def fill(
    module: Module,
    tensors: Mapping[str, Tensor],
    *,
    name: str,
    computed: Collection[str] = (),
) -> Module:
    """The module with the tensors in it, as `check_fit` wants them; raises BadCheckpoint."""
    check_fit(module, tensors, name=name, computed=computed)
    own = module.state_dict()
    given = {key: tensor.to(own[key].dtype) for key, tensor in tensors.items()}
    module.load_state_dict(own | given, strict=True)
    return module.eval().requires_grad_(requires_grad=False)
