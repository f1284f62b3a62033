"""`make bench`: what icons-128 reaches, measured on this machine, as a Markdown table.

Drawings use captions, seeds and keys that no weight was fitted to; icons for the codec are those
held out of all training; photographs are those of split `calib`, cut into 128 px tiles.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.captions import Features, Gallery, rendered
from generators.catalog import WEIGHTS, Generator, load_generator
from generators.catalog import find as find_generator
from generators.sampling import Drawn, Request, Unerased, Unmarked, Watermark, draw
from generators.training.icons import COLOURS, SIDE, load_icons, load_photographs, scaled
from generators.training.things import THINGS, spoken
from generators.training.transformer import ICON
from provenance.image import Pixels
from provenance.robustness.attacks import attacked, find
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.level import LEVELS, levelled
from workers.marking import Kind, Marker, request_id

ATTACKS = (
    ("none", 0.93),
    ("jpeg-50", 0.85),
    ("noise-0.05", 0.85),
    ("resize-0.5", 0.85),
    ("blur-sigma-2", 0.75),
    ("brightness-1.5", 0.75),
    ("contrast-1.5", 0.75),
)
STRENGTH = 2.0  # nats of lexical bias in the read-back bench, the first rung of `generate`


@dataclass(frozen=True)
class Line:
    """One measured figure and the bar it is held to."""

    what: str
    bar: str
    measured: str
    met: bool


def machine() -> str:
    """Processor and cores."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [row.split(":", 1)[1].strip() for row in info.splitlines() if "model name" in row]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"


def prompts(count: int) -> list[tuple[str, str]]:
    """Things and full captions, every thing before any twice, in a fixed order."""
    rng = np.random.default_rng(42)
    colours = list(COLOURS)
    names = [THINGS[i] for i in rng.permutation(len(THINGS))]
    out = []
    for n in range(count):
        first, second = rng.choice(len(colours), 2, replace=False)
        scene = (
            f"on a {colours[first]} background",
            f"on a {colours[first]} to {colours[second]} gradient",
            f"on {colours[first]} and {colours[second]} clouds",
        )[n % 3]
        name = names[n % len(names)]
        out.append((name, f"{spoken(name)}, {scene}"))
    return out


def batches(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    for start in range(0, len(requests), 8):
        yield requests[start : start + 8]


def drawn(
    generator: Generator, requests: Sequence[Request], marks: Sequence[Watermark]
) -> list[Drawn]:
    """All requests, eight at a time."""
    out: list[Drawn] = []
    for batch in batches(requests):
        part = marks[len(out) : len(out) + len(batch)]
        out += draw(
            generator.model,
            generator.codec,
            batch,
            erasures=[Unerased()] * len(batch),
            watermarks=part,
        )
    return out


def stacked(pictures: Sequence[Drawn]) -> torch.Tensor:
    """Pixels (B, 3, H, W) of drawings."""
    array = np.stack([p.pixels for p in pictures]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(array, np.float32) / 255)


def psnr(generator: Generator, pictures: NDArray[np.float32]) -> tuple[float, float]:
    """Mean PSNR of pictures encoded and decoded to 8 bits, and its standard error, in dB."""
    out = []
    for part in torch.split(torch.from_numpy(pictures), 32):
        back = (generator.codec.decode(generator.codec.encode(part)) * 255).round() / 255
        out.append(-10 * (back - part).square().mean((1, 2, 3)).clamp_min(1e-8).log10())
    each = torch.cat(out)
    return each.mean().item(), each.std().item() / len(each) ** 0.5


def codec_lines(generator: Generator, options: argparse.Namespace) -> list[Line]:
    """How well the codec keeps held-out icons and photographs."""
    _, held = load_icons(options.icons)
    rng = np.random.default_rng(11)
    pictures = np.stack([rendered(rng, scaled(icon.cutout, ICON)) for icon in held])
    mean, error = psnr(generator, pictures)
    lines = [
        Line(
            f"codec PSNR, {len(held)} held-out icons",
            ">= 28 dB",
            f"{mean:.2f} +- {error:.2f} dB",
            mean >= 28,
        )
    ]
    if options.photographs:
        tiles = photograph_tiles(options.photographs, options.index)
        mean, error = psnr(generator, tiles)
        measured = f"{mean:.2f} +- {error:.2f} dB"
        lines.append(
            Line(f"codec PSNR, {len(tiles)} photograph tiles", ">= 25 dB", measured, mean >= 25)
        )
    return lines


def photograph_tiles(folder: Path, index: Path, *, split: str = "calib") -> NDArray[np.float32]:
    """At most 12 tiles of 128 px a photograph (N, 3, 128, 128), never fitted to."""
    rng = np.random.default_rng(5)
    tiles = []
    for picture in load_photographs(folder, index, split=split):
        corners = [
            (y, x)
            for y in range(0, picture.shape[1] - SIDE + 1, SIDE)
            for x in range(0, picture.shape[2] - SIDE + 1, SIDE)
        ]
        for i in rng.permutation(len(corners))[:12]:
            y, x = corners[i]
            tiles.append(picture[:, y : y + SIDE, x : x + SIDE])
    return np.stack(tiles)


def read_back(generator: Generator, pixels: Pixels) -> NDArray[np.int64]:
    """Tokens (h, w) at the level that reads most surely, as `verify` undoes brightness."""
    region = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
    reading = generator.codec.read(torch.stack([levelled(region, level) for level in LEVELS]))
    best = int(reading.margin.flatten(1).mean(1).argmax())
    return reading.tokens[best].numpy()


def reading_lines(generator: Generator, marker: Marker, count: int) -> list[Line]:
    """The share of tokens read back from marked drawings after each attack."""
    key = Key(b"\x17" * 32, "bench", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
    requests = [Request(text, 5000 + n) for n, (_, text) in enumerate(prompts(count))]
    marks = [
        marker.watermark(
            Kind.LEXICAL, key, request_id(generator.name, r.prompt, r.seed), delta=STRENGTH
        )
        for r in requests
    ]
    pictures = drawn(generator, requests, marks)
    pixels = stacked(pictures).numpy()
    distinct = np.mean([len(np.unique(p.tokens)) for p in pictures])
    lines = [Line("distinct codes a marked drawing", "", f"{distinct:.0f} of 256", met=True)]
    for name, bar in ATTACKS:
        attack, same = find(name), []
        for n, picture in enumerate(pictures):
            read = read_back(generator, attacked(pixels[n], attack, seed=n))
            same.append((read == picture.tokens).mean())
        share = float(np.mean(same))
        title = f"tokens read back, {count} marked drawings, {name}"
        lines.append(Line(title, f">= {bar}", f"{share:.3f}", share >= bar))
    return lines


def caption_lines(generator: Generator, options: argparse.Namespace) -> list[Line]:
    """Whether the nearest of all captions is a drawing's own; the same for real icons."""
    gallery = Gallery(options.icons, Features())
    wished = prompts(options.captions)
    requests = [Request(text, 100 + s) for _, text in wished for s in range(options.seeds)]
    names = [name for name, _ in wished for _ in range(options.seeds)]
    pictures = drawn(generator, requests, [Unmarked()] * len(requests))
    ranks = np.concatenate(
        [
            gallery.ranks(stacked(pictures[i : i + 32]), names[i : i + 32])
            for i in range(0, len(pictures), 32)
        ]
    )
    rng = np.random.default_rng(12)
    real = np.stack([rendered(rng, gallery.cutouts[name]) for name, _ in wished])
    real_ranks = gallery.ranks(torch.from_numpy(real), [name for name, _ in wished])
    title = (
        f"{options.captions} captions x {options.seeds} seeds, own caption nearest of {len(THINGS)}"
    )
    lines = []
    for top, bar in ((1, 0.60), (5, 0.80)):
        share, same = (ranks < top).mean(), (real_ranks < top).mean()
        measured = f"{share:.3f} (real icons {same:.3f})"
        lines.append(Line(f"{title}, top-{top}", f">= {bar:.2f}", measured, share >= bar))
    contact_sheet(pictures[:: options.seeds][:64], options.sheet)
    return lines


def contact_sheet(pictures: Sequence[Drawn], path: Path) -> None:
    """Eight by eight drawings in one file."""
    page = Image.new("RGB", (8 * SIDE, (len(pictures) + 7) // 8 * SIDE))
    for n, picture in enumerate(pictures):
        page.paste(Image.fromarray(picture.pixels), (n % 8 * SIDE, n // 8 * SIDE))
    page.save(path)


def speed_lines(generator: Generator) -> list[Line]:
    """Seconds for one picture, pictures a second in a batch of eight; the best of three runs."""
    requests = [Request(text, n) for n, (_, text) in enumerate(prompts(8))]
    seconds = {}
    for size in (1, 8):
        runs = []
        for _ in range(3):
            started = time.perf_counter()
            draw(
                generator.model,
                generator.codec,
                requests[:size],
                erasures=[Unerased()] * size,
                watermarks=[Unmarked()] * size,
            )
            runs.append(time.perf_counter() - started)
        seconds[size] = min(runs)
    rate = 8 / seconds[8]
    return [
        Line("one picture alone", "<= 1.5 s", f"{seconds[1]:.2f} s", seconds[1] <= 1.5),
        Line("pictures/s in a batch of 8", ">= 2", f"{rate:.2f}", rate >= 2),
    ]


def size_line() -> Line:
    """All weight files of the generator together."""
    spec = find_generator("icons-128")
    files = (spec.transformer.file, spec.codec.file, spec.reader.file, spec.pairs)
    total = sum((WEIGHTS / file).stat().st_size for file in files) / 1e6
    return Line("weights in all", "<= 40 MB", f"{total:.1f} MB", total <= 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--drawings", type=int, default=500)
    parser.add_argument("--captions", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--sheet", type=Path, default=Path("docs/icons-128.png"))
    options = parser.parse_args()
    generator = load_generator("icons-128")
    marker = Marker(generator.name, generator.spec, generator.codec)
    print(f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}.\n")
    print("| what | bar | measured | |\n|---|---|---|---|", flush=True)
    for lines in (
        speed_lines(generator),
        [size_line()],
        codec_lines(generator, options),
        reading_lines(generator, marker, options.drawings),
        caption_lines(generator, options),
    ):
        for line in lines:
            verdict = ("met" if line.met else "missed") if line.bar else ""
            print(f"| {line.what} | {line.bar} | {line.measured} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
