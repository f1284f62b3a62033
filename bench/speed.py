"""`make bench-speed`: how fast pictures are drawn, beside transformers on the same machine.

A transformer of LlamaGen's size GPT-B with random weights draws 256 tokens with guidance, through
the sampling loop that marks pictures; `transformers` generates as many with a Llama of the same
sizes. Its side is told what is good for it: the two branches of guidance are rows of one batch, and
it takes the likeliest token instead of drawing one. Requests that are unlike (other guidance,
temperature, cuts) it cannot take in one call: there they follow each other.

Every row is a process of its own, which tells its seconds and the most memory it ever had.
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
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessorList

from bench.icons import machine
from generators.gpt import CONFIGS, LlamaGenTransformer
from generators.huggingface.imagegpt import ImageGPTCodec
from generators.llamagen import ByClass, LlamaGenModel
from generators.products import halve
from generators.sampling import Request, Sampling, Unerased, Unmarked, draw
from generators.scales import Numbered

SIZE = "gpt-b"
GUIDANCE, TOP_K = 4.0, 2000  # of LlamaGen's own samples
BATCH = 8
FEW = 16  # tokens: of what would take minutes


class Enough(Exception):
    """As many steps were drawn as were asked for."""


def requests(count: int, *, unlike: bool) -> list[Request]:
    """Wishes for pictures, all with the same settings or each with its own."""
    hows = [
        Sampling(GUIDANCE + n / 4, 1 - n / 40, TOP_K - 100 * n, 1.0) if unlike else
        Sampling(GUIDANCE, 1.0, TOP_K, 1.0)
        for n in range(count)
    ]  # fmt: skip
    return [Request(str(100 + n), n, how) for n, how in enumerate(hows)]


def prepared(precision: str) -> tuple[LlamaGenModel, ImageGPTCodec]:
    """A model of random weights, and a codec: a pixel a token, for what is timed are the tokens."""
    torch.manual_seed(0)
    transformer = LlamaGenTransformer(CONFIGS[SIZE]).eval().requires_grad_(requires_grad=False)
    if precision in ("half", "two halves"):
        halve(transformer, 1 if precision == "half" else 2)
    elif precision == "bfloat16":
        transformer.to(torch.bfloat16)
    codec = ImageGPTCodec(torch.rand(CONFIGS[SIZE].codes, 3) * 2 - 1)
    return LlamaGenModel(transformer, ByClass(Numbered(1000))), codec


def ours(count: int, tokens: int, *, precision: str, unlike: bool) -> Callable[[], None]:
    """What draws a batch once."""
    model, codec = prepared(precision)
    wishes = requests(count, unlike=unlike)

    def progress(done: int, total: int) -> None:
        if done >= tokens and done < total:
            raise Enough

    def run() -> None:
        try:
            draw(
                model,
                codec,
                wishes,
                erasures=[Unerased()] * count,
                watermarks=[Unmarked()] * count,
                progress=progress,
            )
        except Enough:
            return

    return run


class Guided:
    """Guidance over the two halves of a batch, the same logits for both."""

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        told, untold = scores.chunk(2)
        return (untold + GUIDANCE * (told - untold)).repeat(2, 1)


def theirs(count: int, tokens: int, *, unlike: bool) -> Callable[[], None]:
    """What generates as much with transformers: one call, or as many as there are requests."""
    torch.manual_seed(0)
    size = CONFIGS[SIZE]
    config = LlamaConfig(
        vocab_size=size.codes,
        hidden_size=size.dim,
        intermediate_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=1 + size.side**2,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    model.train(mode=False)
    how = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0
    )
    calls, rows = (count, 1) if unlike else (1, count)
    ids = torch.cat([torch.arange(rows), torch.full((rows,), 999)])[:, None]

    def run() -> None:
        for _ in range(calls):
            with torch.inference_mode():
                made = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    generation_config=how,
                    logits_processor=LogitsProcessorList([Guided()]),
                )
            assert made.shape == (2 * rows, 1 + tokens)

    return run


@dataclass(frozen=True)
class Row:
    """What is measured once."""

    system: str  # "transformers", or ours: "single", "two halves", "half", "bfloat16" weights
    count: int = 1
    unlike: bool = False
    tokens: int = 256

    def short(self, most: int) -> Row:
        """The row with at most so many tokens."""
        return replace(self, tokens=min(self.tokens, most))

    def prepare(self, tokens: int) -> Callable[[], None]:
        if self.system == "transformers":
            return theirs(self.count, tokens, unlike=self.unlike)
        return ours(self.count, tokens, precision=self.system, unlike=self.unlike)


ROWS = (
    Row("transformers"),
    Row("single"),
    Row("two halves"),
    Row("half"),
    Row("bfloat16", tokens=FEW),
    Row("two halves", 4),
    Row("half", 4),
    Row("transformers", BATCH),
    Row("two halves", BATCH, unlike=True),
    Row("half", BATCH, unlike=True),
    Row("transformers", BATCH, unlike=True),
)


@dataclass(frozen=True)
class Measured:
    """Seconds of a row, those of all its threads, and the most memory (bytes) of its process."""

    row: Row
    seconds: float
    busy: float
    peak: int

    @property
    def rate(self) -> float:
        """Tokens a second, of all requests."""
        return self.row.count * self.row.tokens / self.seconds


def measure(number: int, most: int) -> None:
    """Runs one row here, and prints what it took as JSON."""
    row = ROWS[number].short(most)
    run = row.prepare(row.tokens)
    start, busy = time.perf_counter(), time.process_time()
    run()
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    print(json.dumps({"seconds": seconds, "busy": busy, "peak": peak}))


def started(number: int, most: int) -> Measured:
    """One row in a process of its own."""
    command = [sys.executable, "-m", "bench.speed", "--row", str(number), "--tokens", str(most)]
    theirs_alone = {"MKL_CBWR": "AUTO"} if ROWS[number].system == "transformers" else {}
    environment = {**os.environ, **theirs_alone}
    done = subprocess.run(  # noqa: S603
        command, check=True, capture_output=True, text=True, env=environment
    )
    return Measured(ROWS[number].short(most), **json.loads(done.stdout.splitlines()[-1]))


def report(all_rows: Sequence[Measured]) -> str:
    """Tables of what was measured and of what it is held against."""
    names = ("weights", "requests", "tokens", "seconds", "busy", "tokens/s", "peak")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for one in all_rows:
        row = one.row
        kind = f"{row.count} unlike" if row.unlike else str(row.count)
        lines.append(
            f"| {row.system} | {kind} | {row.count * row.tokens} | {one.seconds:.1f} "
            f"| {one.busy:.1f} | {one.rate:.0f} | {one.peak / 1e9:.2f} GB |"
        )
    by = {(one.row.system, one.row.count, one.row.unlike): one for one in all_rows}
    lines += ["", "| what | bar | measured |", "|---|---|---|"]
    for system, most in (("two halves", 15), ("half", 8)):
        lines += held(by, system, most)
    return "\n".join(lines)


def held(by: Mapping[tuple[str, int, bool], Measured], system: str, most: float) -> list[str]:
    """What is held against bars, of one precision; ratios are of tokens a second."""
    first, one = by[system, 1, False], by["transformers", 1, False]
    many, like = by[system, BATCH, True], by["transformers", BATCH, False]
    ratios = [
        ("4 requests against 1", "2.5", by[system, 4, False].rate / first.rate),
        ("1 request against transformers", "1", first.rate / one.rate),
        (f"{BATCH} unlike ones too", "1.5", many.rate / by["transformers", BATCH, True].rate),
        (f"{BATCH} unlike ones against as many like ones", "1", many.rate / like.rate),
    ]
    return [
        f"| {system}: {first.row.tokens} tokens with guidance | 256 in <= {most} s "
        f"| {first.seconds:.1f} s |",
        *(f"| {system}: {what} | >= {bar} x | {ratio:.2f} x |" for what, bar, ratio in ratios),
    ]


def main() -> None:
    """Measure every row in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, metavar="N", help="this row alone, in this process")
    parser.add_argument("--tokens", type=int, default=256, metavar="N", help="at most, a picture")
    options = parser.parse_args()
    if options.row is not None:
        measure(options.row, options.tokens)
        return
    print(f"{machine()}; {torch.get_num_threads()} threads; {datetime.now(UTC):%Y-%m-%d %H:%M}")
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    print(report([started(row, options.tokens) for row in range(len(ROWS))]))
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
