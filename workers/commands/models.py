"""`countermark models`: generators that people bring, and what is known of them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from generators.cards import COMMERCIAL, PARTS, Card, read_card
from generators.catalog import BadWeights
from generators.checkpoints.layouts import Layout
from workers.brought import MODELS
from workers.commands import Usage
from workers.folder import data_folder, open_folder
from workers.importing import (
    ENCODERS,
    check_licence,
    check_name,
    declare_commercial,
    fetched,
    keep,
)
from workers.looking import Found, Wanted, look
from workers.trying import measured, pace


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    models = commands.add_parser("models", help="bring generators, and list them")
    acts = models.add_subparsers(dest="act", required=True)
    add = acts.add_parser("add", help="recognise weights, measure them, put them in the catalog")
    add.add_argument("paths", nargs="+", metavar="PATH|HUB-ID", help="files, a folder, or an id")
    add.add_argument("--name", metavar="NAME", help="default: that of the first path")
    add.add_argument("--layout", type=Layout, choices=list(Layout), help="default: as recognised")
    add.add_argument(
        "--licence", required=True, metavar="SPDX", help="of the weights, as their publisher says"
    )
    add.add_argument(
        "--text-encoder",
        metavar="FOLDER|HUB-ID",
        help="the T5 that a LlamaGen by text was trained with, as save_pretrained writes it",
    )
    add.add_argument("--encoder-licence", metavar="SPDX", help="of the text encoder")
    add.add_argument("--side", type=int, default=16, metavar="N", help="tokens a side, LlamaGen")
    add.add_argument("--heads", type=int, metavar="N", help="of a LlamaGen of no official size")
    add.add_argument("--weights", choices=list(PARTS), default="single", help="how they are kept")
    add.add_argument("--sha256", metavar="HEX", help="that one of the files must have")
    add.add_argument("--dry-run", action="store_true", help="tell memory and speed; keep nothing")
    add.set_defaults(run=run_add)
    acts.add_parser("list", help="what was brought").set_defaults(run=run_list)
    acts.add_parser(
        "commercial", help="refuse weights whose licence is not known to allow commercial use"
    ).set_defaults(run=run_commercial)


def run_add(options: argparse.Namespace, console: Console) -> int:
    """Look, and unless it is a dry run, measure and keep."""
    if not 1 <= options.side <= 128:
        raise Usage(f"--side must be between 1 and 128, not {options.side}")
    encoder, encoder_licence = options.text_encoder, options.encoder_licence
    if (encoder is None) is not (encoder_licence is None):
        raise Usage("--text-encoder and --encoder-licence are said together or not at all")
    name = options.name or Path(options.paths[0]).stem.lower().replace("_", "-")
    with open_folder(data_folder(os.environ)) as folder:
        check_name(folder, name)
        wanted = Wanted(
            tuple(fetched(path) for path in options.paths),
            name,
            options.licence,
            layout=options.layout,
            tokens=options.side,
            heads=options.heads,
            weights=options.weights,
            digest=options.sha256,
            encoder=None if encoder is None else fetched(encoder, ENCODERS),
            encoder_licence=encoder_licence or "",
        )
        found = look(wanted)
        check_licence(folder, found.card)
        _say(console, describe(found))
        if options.dry_run:
            return 0
        card = keep(folder, found, measured(found))
    shares = ", ".join(f"{share:.1%}" for share in card.read_back)
    _say(console, f"of {card.pictures} drawings {shares} of the tokens come back from 8-bit pixels")
    _say(console, f"{card.seconds:.1f} s a picture; kept as {name}: --model {name}")
    return 0


def describe(found: Found) -> str:
    """What was recognised, its memory and its speed."""
    card, seconds = found.card, pace(found)
    use = "allows commercial use" if card.commercial else "is not known to allow commercial use"
    asked = "asked by text" if card.by_text else f"{card.classes} classes"
    return (
        f"{card.name}: {card.layout}, {asked}, {card.side} px, "
        f"{card.tokens} x {card.tokens} tokens; {card.memory / 1e6:.0f} MB of weights; about "
        f"{seconds:.1f} s for the tokens of a picture; {licences(card)} {use}"
    )


def licences(card: Card) -> str:
    """Of the weights, and with that of the text encoder if there is one."""
    return " with ".join(card.licences.values())


def run_list(options: argparse.Namespace, console: Console) -> int:
    """One line a model; 1 if one of them is damaged."""
    with open_folder(data_folder(os.environ)) as folder:
        places = (
            sorted((folder.path / MODELS).glob("[!.]*/")) if (folder.path / MODELS).is_dir() else []
        )
        lines, damaged = list[str](), 0
        for place in places:
            try:
                lines.append(line(read_card(place)))
            except BadWeights as e:
                lines.append(f"{place.name}  cannot be used: {e}")
                damaged = 1
    for one in lines:
        print(one)  # noqa: T201
    return damaged


def line(card: Card) -> str:
    """What a card says, shortly."""
    shares = ", ".join(f"{share:.1%}" for share in card.read_back)
    return (
        f"{card.name}  {card.layout}  {card.side} px  {licences(card)}  read back {shares}  "
        f"{card.seconds:g} s a picture  weights {card.transformer[:16]}...  added {card.added}"
    )


def run_commercial(options: argparse.Namespace, console: Console) -> int:
    """Declare it."""
    with open_folder(data_folder(os.environ)) as folder:
        declare_commercial(folder)
    _say(console, f"weights are refused from now on unless under {', '.join(COMMERCIAL)}")
    return 0


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
