"""`python -m bench.janus`, a part of `make bench-speed`: Janus here and in transformers' generate.

One Janus with random weights, its language model as large as GPT-B, draws 256 tokens with guidance:
through the sampling loop that marks pictures, and by the library's own `generate`, which takes the
likeliest token instead of drawing one. Prompts are of one length, which suits both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor
from transformers import (
    JanusConfig,
    JanusForConditionalGeneration,
    JanusVisionConfig,
    JanusVQVAEConfig,
    LlamaConfig,
)

from bench.icons import machine
from bench.speed import GUIDANCE, requests
from generators.huggingface.causal import CausalModel
from generators.huggingface.imagegpt import ImageGPTCodec
from generators.huggingface.janus import JanusNetwork
from generators.products import halve
from generators.sampling import Unerased, Unmarked, draw

PAD, BOS, EOS, BOI, LETTERS = 0, 1, 2, 3, 4
SIDE, CODES, PROMPT = 16, 16384, 24
DIM, LAYERS, HEADS, HIDDEN = 768, 12, 12, 2048


def janus() -> JanusForConditionalGeneration:
    """The model; what sees and draws pixels is small, for only tokens are timed."""
    torch.manual_seed(0)
    config = JanusConfig(
        text_config=LlamaConfig(
            vocab_size=1024,
            hidden_size=DIM,
            intermediate_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
        ).to_dict(),
        vision_config=JanusVisionConfig(
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=SIDE * 4,
            patch_size=4,
            num_image_tokens=SIDE**2,
            projection_dim=DIM,
        ).to_dict(),
        vq_config=JanusVQVAEConfig(
            embed_dim=8,
            num_embeddings=CODES,
            latent_channels=32,
            base_channels=32,
            channel_multiplier=[1, 1],
            num_res_blocks=1,
            projection_dim=DIM,
            image_token_embed_dim=DIM,
            num_patches=SIDE,
        ).to_dict(),
    )
    model = JanusForConditionalGeneration(config)
    model.train(mode=False)
    for name, value in (("pad", PAD), ("bos", BOS), ("eos", EOS)):
        setattr(model.generation_config, f"{name}_token_id", value)
    model.generation_config.generation_kwargs = {"boi_token_id": BOI}  # type: ignore[attr-defined]
    return model


def tokenise(texts: Sequence[str]) -> Mapping[str, Tensor]:
    """Ids of prompts that differ and are of one length."""
    rows = [
        [BOS, *(LETTERS + (7 * place + int(text)) % 1000 for place in range(PROMPT)), BOI]
        for text in texts
    ]
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.ones(len(rows), PROMPT + 2)}


def ours(count: int, *, halves: bool) -> Callable[[], None]:
    """What draws a batch once."""
    model = janus()
    if halves:
        halve(model.model.language_model, 2)
        halve(model.model.generation_head, 2)
    drawing = CausalModel(JanusNetwork(model, tokenise))
    codec = ImageGPTCodec(torch.rand(CODES, 3) * 2 - 1)

    def run() -> None:
        draw(
            drawing,
            codec,
            requests(count, unlike=False),
            erasures=[Unerased()] * count,
            watermarks=[Unmarked()] * count,
        )

    return run


def theirs(count: int) -> Callable[[], None]:
    """What generates a batch once, all tokens of it."""
    model = janus()
    batch: dict[str, Any] = dict(tokenise([str(100 + n) for n in range(count)]))

    def run() -> None:
        with torch.inference_mode():
            made = model.generate(
                **batch, generation_mode="image", do_sample=False, guidance_scale=GUIDANCE
            )
        assert made.shape == (count, SIDE**2)

    return run


@dataclass(frozen=True)
class Row:
    """What is measured once."""

    system: str  # "transformers", or ours: "single" or "two halves"
    count: int


ROWS = tuple(Row(system, n) for n in (1, 8) for system in ("transformers", "single", "two halves"))


def measure(number: int) -> None:
    """Runs one row here, and prints what it took as JSON."""
    row = ROWS[number]
    own = row.system != "transformers"
    run = ours(row.count, halves=row.system == "two halves") if own else theirs(row.count)
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    print(json.dumps({"seconds": seconds, "peak": peak}))


def main() -> None:
    """Measure every row, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, metavar="N", help="this row alone, in this process")
    options = parser.parse_args()
    if options.row is not None:
        measure(options.row)
        return
    print(f"{machine()}; {torch.get_num_threads()} threads; {datetime.now(UTC):%Y-%m-%d %H:%M}")
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    print("| Janus | requests | seconds | tokens/s | against `transformers` | peak memory |")
    print("|---" * 6 + "|", flush=True)
    base: dict[int, float] = {}
    for number, row in enumerate(ROWS):
        command = [sys.executable, "-m", "bench.janus", "--row", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        told = json.loads(done.stdout.splitlines()[-1])
        seconds = told["seconds"]
        base.setdefault(row.count, seconds)
        print(
            f"| {row.system} | {row.count} | {seconds:.1f} | {row.count * SIDE**2 / seconds:.0f} "
            f"| {base[row.count] / seconds:.2f} x | {told['peak'] / 1e9:.2f} GB |",
            flush=True,
        )
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
