"""Write weights as they ship: `python -m generators.training.export --help`.

Half precision, safetensors; prints the SHA-256 that the catalog must name. The codebook stays in
single precision, so that reading never depends on how it was rounded.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transformer", type=Path)
    parser.add_argument("--codec", type=Path)
    parser.add_argument("--name", default="icons-128")
    parser.add_argument("--folder", type=Path, default=Path("generators/weights"))
    options = parser.parse_args()
    parts = (("model", options.transformer, ""), ("codec", options.codec, "-codec"))
    for part, checkpoint, suffix in parts:
        if checkpoint is not None:
            state = torch.load(checkpoint, weights_only=True)[part]
            tensors = {
                name: tensor.contiguous()
                .clone()
                .to(torch.float32 if name == "codebook" else torch.float16)
                for name, tensor in state.items()
            }
            path = options.folder / f"{options.name}{suffix}.safetensors"
            save_file(tensors, path)
            data = path.read_bytes()
            print(f"{path} {len(data)} bytes sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
