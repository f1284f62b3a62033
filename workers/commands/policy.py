"""`countermark policy`: the labels that every picture gets besides its mark."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from provenance.files import read_file
from workers.commands import Usage
from workers.folder import KEYS, NoFolder, data_folder
from workers.policy import Labels, load, save

MAX_FONT = 50_000_000  # bytes; one with all of China's characters has 20 MB


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    policy = commands.add_parser("policy", help="which labels every new picture gets")
    acts = policy.add_subparsers(dest="act", required=True)
    acts.add_parser("show", help="the labels as they are").set_defaults(run=run_show)
    change = acts.add_parser("set", help="these labels and no others, from the next picture on")
    change.add_argument("--label", metavar="TEXT", help="drawn into the lower right corner")
    change.add_argument("--font", type=Path, metavar="F.ttf", help="for other than Latin letters")
    change.add_argument("--producer", metavar="CODE", help="of China's label (TC260), in the file")
    change.set_defaults(run=run_set)


def run_show(options: argparse.Namespace, console: Console) -> int:
    """Say which labels there are."""
    print(describe(load(place())))  # noqa: T201
    return 0


def run_set(options: argparse.Namespace, console: Console) -> int:
    """Replace the policy."""
    if options.font is not None and options.label is None:
        raise Usage("--font is of a --label")
    font = None if options.font is None else read_file(options.font, MAX_FONT)
    if font is not None and len(font) > MAX_FONT:
        raise Usage(f"--font: {options.font} is longer than {MAX_FONT:,} bytes")
    labels = Labels(options.label, font, options.producer)
    save(place(), labels)
    console.print(describe(labels), markup=False, highlight=False, soft_wrap=True)
    return 0


def place() -> Path:
    """The data folder, which must be there."""
    folder = data_folder(os.environ)
    if not (folder / KEYS).exists():
        raise NoFolder(f"no keys in {folder}: run `countermark init` first")
    return folder


def describe(labels: Labels) -> str:
    """The policy in two lines."""
    drawn = "none" if labels.text is None else repr(labels.text)
    written = "none" if labels.producer is None else f"producer {labels.producer}"
    return f"label that people see: {drawn}\nChina's label (TC260) in the file: {written}"
