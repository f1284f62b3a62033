"""`make bench-marks`: what docs/watermark.md holds, measured on this machine.

Each table can be made alone: `python -m bench.marks size --help`. Drawings are made once and kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bench.captions import Features, Gallery, rendered
from bench.icons import machine
from bench.marks import cost, payload, peers, power, quality, size, stealing
from bench.marks.drawings import Album, Drawing, bench_key, marked, unmarked
from bench.marks.page import Table, format_table, insert
from generators.catalog import Generator, load_generator
from provenance.image import Pixels
from provenance.robustness.presets import preset
from provenance.watermark.search import FULL
from workers.marking import Kind, Marker, load_marker

MODEL = "icons-128"


@dataclass(frozen=True, eq=False)
class Bench:
    """The options of one run, and what all tables share; each process opens a marker of its own."""

    options: argparse.Namespace
    generator: Generator
    marker: Marker
    opened: Callable[[], Marker]

    def marked(self, count: int) -> Album:
        own = self.options
        return marked(own.cache, self.generator, self.marker, own.mark, count, survive=own.survive)

    def biased(self, count: int) -> Album:
        """Drawings with a lexical bias, which LBW as published looks for."""
        return marked(self.options.cache, self.generator, self.marker, Kind.LEXICAL, count)

    def unmarked(self, count: int) -> Album:
        return unmarked(self.options.cache, self.generator, count)

    def pairs(self, count: int) -> list[tuple[Drawing, Drawing]]:
        """Marked and unmarked drawings of the wishes that were not refused."""
        plain = {drawing.number: drawing for drawing in self.unmarked(count).drawings}
        return [(own, plain[own.number]) for own in self.marked(count).drawings]


def size_table(bench: Bench) -> Table:
    own, sets = bench.options, {}
    if own.photographs:
        paths = size.unseen_photographs(own.photographs, own.index)
        sets[f"tiles of {len(paths)} unseen photographs"] = size.tiles(paths, own.tiles)
    album = bench.unmarked(own.drawings)
    sets["unmarked drawings"] = size.eight_bit([d.pixels for d in album.drawings])
    return size.table(
        sets,
        trials=own.trials,
        plan=FULL,
        searched=own.searched,
        opened=bench.opened,
        processes=own.processes,
    )


def power_table(bench: Bench) -> Table:
    own = bench.options
    return power.table(
        bench.marked(own.drawings),
        moved=own.moved,
        plan=FULL,
        opened=bench.opened,
        processes=own.processes,
        report=partial(print, flush=True),
    )


def quality_table(bench: Bench) -> Table:
    own = bench.options
    gallery = Gallery(own.icons, Features())
    pairs = bench.pairs(own.drawings)
    rng = np.random.default_rng(12)
    real = [rendered(rng, gallery.cutouts[plain.thing]) for _, plain in pairs]
    return quality.table(
        bench.generator, bench.marker, pairs, real, gallery.ranks, forced=own.forced
    )


def cost_table(bench: Bench) -> Table:
    album = bench.unmarked(bench.options.runs)
    return cost.table(bench.generator, bench.marker, album.drawings, runs=bench.options.runs)


def peers_table(bench: Bench) -> Table:
    own = bench.options
    plain: list[Pixels] = [d.pixels for d in bench.unmarked(own.drawings).drawings]
    known = [peers.nulls(bench.marker, "unmarked drawings", plain)]
    if own.photographs:
        paths = size.unseen_photographs(own.photographs, own.index)
        pictures = size.tiles(paths, len(plain)).astype(np.float32) / np.float32(255)
        known.append(peers.nulls(bench.marker, "photograph tiles", list(pictures)))
    biased = {one.number: one for one in bench.biased(own.wishes).drawings}
    pairs = bench.pairs(own.wishes)
    return peers.table(
        [(one, biased[one.number], bare) for one, bare in pairs if one.number in biased],
        known,
        {name: preset(name).names for name in own.presets},
        plan=FULL,
        opened=bench.opened,
        processes=own.processes,
    )


def stealing_table(bench: Bench) -> Table:
    own = bench.options
    scheme = bench.marker.banks([bench_key()])[0].scheme
    return stealing.table(
        scheme,
        bench.marked(own.drawings).drawings,
        bench.unmarked(own.drawings).drawings,
        plan=FULL,
        most=own.most,
    )


def payload_table(bench: Bench) -> Table:
    own = bench.options
    if not own.photographs or not own.index:
        raise SystemExit("bench.marks: payload needs --photographs and --index")
    return payload.table(
        payload.large_photographs(own.photographs, own.index, own.uploads),
        drawings=payload.drawn(bench.generator, bench.marker, own.runs),
        opened=bench.opened,
        processes=own.processes,
        report=partial(print, flush=True),
    )


TABLES: dict[str, Callable[[Bench], Table]] = {
    "cost": cost_table,
    "size": size_table,
    "quality": quality_table,
    "power": power_table,
    "peers": peers_table,
    "stealing": stealing_table,
    "payload": payload_table,
}


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.marks", description=__doc__)
    parser.add_argument("tables", nargs="+", choices=[*TABLES, "all"], metavar="TABLE")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps drawings")
    parser.add_argument("--icons", type=Path, help="assets of fluent-emoji-3d, for quality")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--docs", type=Path, help="page whose tables are replaced")
    parser.add_argument("--processes", type=int, default=torch.get_num_threads())
    parser.add_argument("--mark", type=Kind, default=Kind.TRADE)
    parser.add_argument("--survive", metavar="ATTACK", help="that drawings are marked for")
    parser.add_argument("--drawings", type=int, default=500)
    parser.add_argument("--tiles", type=int, default=20_000, help="of photographs, for size")
    parser.add_argument("--trials", type=int, default=1_000_000, help="of each test, for size")
    parser.add_argument("--searched", type=int, default=100, help="pictures searched, for size")
    parser.add_argument("--moved", type=int, default=500, help="drawings moved, for power")
    parser.add_argument("--forced", type=int, default=100, help="drawings swapped, for quality")
    parser.add_argument(
        "--runs", type=int, default=20, help="timed, for cost; drawings with a number, for payload"
    )
    parser.add_argument("--wishes", type=int, default=50, help="for peers")
    parser.add_argument("--presets", nargs="+", default=["house", "indexmark", "markdiffusion"])
    parser.add_argument("--uploads", type=int, default=20, help="photographs marked, for payload")
    parser.add_argument("--most", type=int, default=5000, help="pictures stolen from")
    return parser


def run(bench: Bench) -> None:
    """Print the tables asked for, each as soon as it is made, and put them into the page."""
    chosen = bench.options
    for name in TABLES if "all" in chosen.tables else chosen.tables:
        text = format_table(TABLES[name](bench), day=datetime.now(UTC).date(), machine=machine())
        print(text + "\n", flush=True)
        if chosen.docs:
            chosen.docs.write_text(insert(chosen.docs.read_text(), name, text))


def main() -> None:
    chosen, generator = options().parse_args(), load_generator(MODEL)
    marker = Marker(MODEL, generator.spec, generator.codec)
    run(Bench(chosen, generator, marker, partial(load_marker, MODEL)))


if __name__ == "__main__":
    main()
