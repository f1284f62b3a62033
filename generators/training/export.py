"""Write weights as they ship: `python -m generators.training.export --help`.

Half precision, safetensors; prints the SHA-256 that the catalog must name. The codebook stays in
single precision, so that reading never depends on how it was rounded.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

MEANING = ("encoder", "decoder", "codebook")  # the parts of a codec that say what tokens mean


def save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    rounded = {
        name: tensor.contiguous().clone().to(torch.float32 if name == "codebook" else torch.float16)
        for name, tensor in tensors.items()
    }
    save_file(rounded, path)
    data = path.read_bytes()
    print(f"{path} {len(data)} bytes sha256 {hashlib.sha256(data).hexdigest()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transformer", type=Path)
    parser.add_argument("--codec", type=Path)
    parser.add_argument("--reader", type=Path, help="with --finder")
    parser.add_argument("--finder", type=Path, help="with --reader")
    parser.add_argument("--name", default="icons-128")
    parser.add_argument("--folder", type=Path, default=Path("generators/weights"))
    options = parser.parse_args()
    if options.transformer:
        state = torch.load(options.transformer, weights_only=True)["model"]
        save(state, options.folder / f"{options.name}.safetensors")
    if options.codec:
        state = torch.load(options.codec, weights_only=True)["codec"]
        kept = {k: v for k, v in state.items() if k.partition(".")[0] in MEANING}
        save(kept, options.folder / f"{options.name}-codec.safetensors")
    if options.reader and options.finder:
        reader = torch.load(options.reader, weights_only=True)["reader"]
        finder = torch.load(options.finder, weights_only=True)["finder"]
        both = {f"reader.{k}": v for k, v in reader.items()}
        both |= {f"finder.{k}": v for k, v in finder.items()}
        save(both, options.folder / f"{options.name}-reader.safetensors")


if __name__ == "__main__":
    main()
