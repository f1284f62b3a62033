"""`countermark mark`: mark a picture that exists already, verify, sign, record, write."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from generators.catalog import GENERATORS
from provenance.database import snapshot
from provenance.files import write_file
from provenance.image import read_file, read_image
from provenance.manifest.read import read_parent
from provenance.watermark.keys import Key
from workers.brought import install_models
from workers.commands import Usage
from workers.folder import TENANT, data_folder, load_claim_signer, load_trust, open_folder
from workers.mark import MarkedUpload, Sought, mark
from workers.marking import load_marker, load_markers
from workers.outfile import add_quality, encoding
from workers.perceptual import installed
from workers.seal import Sealed, seal_upload
from workers.softbinding import fresh_number, shown


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser("mark", help="mark a picture that exists already")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--out", type=Path, required=True, metavar="F")
    add_quality(command)
    command.add_argument("--key", metavar="ID", help="default: the active key")
    command.add_argument("--proof", action="store_true", help="write F.tlog-proof beside it")
    command.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Read, mark, verify, sign, record, write."""
    file, out = options.file, options.out
    written, data = encoding(out, options.quality), checked(file, out)
    with open_folder(data_folder(os.environ)) as folder:
        install_models(folder.path)
        known, now = folder.keyring.marks(), datetime.now(UTC)
        key = find(known.keys, options.key) if options.key else known.active(TENANT)
        signer, trust = load_claim_signer(folder, now=now), load_trust(folder, now=now)
        parent, marker = read_parent(data, trust), load_marker(options.model)
        with snapshot(folder.engine) as session:
            number = fresh_number(session)
        with console.status("marking"):
            made = mark(
                data,
                name=str(file),
                marker=marker,
                sought=Sought(load_markers(), known.keys),
                key=key,
                number=number,
                distance=installed(),
                encoding=written,
            )
        sealed = seal_upload(
            folder,
            signer,
            made,
            original=data,
            parent=parent,
            trust=trust,
            marker=marker,
            key=key,
        )
    write_file(out, sealed.file)
    if options.proof:
        write_file(out.with_suffix(".tlog-proof"), sealed.proof)
    Console().print(describe(out, sealed), markup=False, highlight=False, soft_wrap=True)
    return 0


def checked(file: Path, out: Path) -> bytes:
    """The bytes of a picture that may be marked into `out`; raises Usage or Unreadable."""
    data = read_file(file)
    if out.exists() and out.samefile(file):
        raise Usage(f"--out {out} would replace the original")
    read_image(data, name=str(file))  # before its manifest is looked for
    return data


def find(keys: Sequence[Key], key_id: str) -> Key:
    """The key of an id."""
    for key in keys:
        if key.key_id == key_id:
            return key
    raise Usage(f"--key: no mark key has the id {key_id!r}")


def describe(file: Path, sealed: Sealed[MarkedUpload]) -> str:
    """One line about a picture marked."""
    made = sealed.marked
    marked, finding = made.marked, made.verified.mark
    assert finding.match is not None, "a mark that is not found is not given out"
    perceptual = (
        "not measured (pip install 'countermark[train]')"
        if made.perceptual is None
        else f"{made.perceptual:.4f} (EfficientNet-Lite0)"
    )
    number = (
        "no room for a record number, so copies are known by mark and fingerprint alone"
        if made.number is None
        else f"carries record number {shown(made.number)}"
    )
    return (
        f"{file}  {finding.match.scheme} mark of key {finding.match.key_id}, read back from the "
        f"file: false-match probability {finding.corrected:.1e}; {number}; against the original "
        f"PSNR {marked.psnr:.1f} dB, SSIM {marked.ssim:.3f}, perceptual distance {perceptual}; "
        f"signed, entry {sealed.index} of the log, which says that it was marked on request and "
        f"not that it was made here"
    )
