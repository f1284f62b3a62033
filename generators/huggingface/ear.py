"""EAR's published erasures of Janus-Pro (arXiv 2506.20151): attention modules, swapped as they are.

A file is a table from the name of a module (`layers.0.self_attn` to `layers.4.self_attn`, with
whatever the script had before that) to its tensors. They are put in place of the model's own while
a block lasts; afterwards the model's own tensors are back, the same objects, to the bit.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from generators.checkpoints.files import BadCheckpoint

Modules = Mapping[str, Mapping[str, Tensor]]


def read_ear(path: Path) -> dict[str, dict[str, Tensor]]:
    """The modules of a file, by their names from `layers.` on; raises BadCheckpoint."""
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise BadCheckpoint(f"{path}: {e.strerror or e}") from e
    except pickle.UnpicklingError as e:
        raise BadCheckpoint(f"{path} holds more than tensors and is not opened") from e
    except (RuntimeError, EOFError, ValueError) as e:
        reason = str(e).partition("\n")[0]
        raise BadCheckpoint(f"{path} is cut short or no file of tensors: {reason}") from e
    if not isinstance(table, dict) or not table or not all(map(_is_state, table.values())):
        raise BadCheckpoint(f"{path} is no table of modules and their tensors")
    if strange := [str(name) for name in table if "layers." not in str(name)]:
        raise BadCheckpoint(f"{path} has a module that is no layer's: {strange[0]}")
    return {name[name.index("layers.") :]: dict(state) for name, state in table.items()}


def _is_state(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, Tensor) for one in value.values())


@contextmanager
def swapped(language_model: nn.Module, modules: Modules, *, name: str) -> Iterator[None]:
    """The language model with these modules while the block lasts; raises BadCheckpoint.

    All is checked before anything is changed.
    """
    pairs: list[tuple[nn.Parameter, Tensor]] = []
    for module, state in modules.items():
        try:
            own = dict(language_model.get_submodule(module).named_parameters())
        except AttributeError as e:
            raise BadCheckpoint(f"{name}: the model has no module {module}") from e
        for key in sorted(own.keys() ^ state.keys()):
            what = "is missing" if key in own else "is not part of it"
            raise BadCheckpoint(f"{name} does not fit: {module}.{key} {what}")
        for key, parameter in own.items():
            if parameter.shape != state[key].shape:
                raise BadCheckpoint(
                    f"{name} does not fit: {module}.{key} is {tuple(state[key].shape)} instead of "
                    f"{tuple(parameter.shape)}"
                )
            pairs.append((parameter, state[key]))
    before = [parameter.data for parameter, _ in pairs]
    try:
        for parameter, new in pairs:
            parameter.data = new.to(parameter)
        yield
    finally:
        for (parameter, _), own_data in zip(pairs, before, strict=True):
            parameter.data = own_data
