"""`countermark log`: sign, check, prove and give away the log; have others witness and date it."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from rich.console import Console
from sqlalchemy.orm import Session

from provenance.database import snapshot, transaction
from provenance.files import read_file, write_file
from provenance.ledger.anchor import add_cosignatures, sign_checkpoint
from provenance.ledger.audit import check_log
from provenance.ledger.checkpoint import Timestamp, open_checkpoint
from provenance.ledger.dating import all_timestamps, keep_timestamp
from provenance.ledger.encoding import printable
from provenance.ledger.errors import LedgerError, NotLogged
from provenance.ledger.export import export_log
from provenance.ledger.log import find_entries, log_size, prove
from provenance.ledger.note import MAX_NOTE_BYTES, format_vkey, parse_vkey
from provenance.ledger.proof import format_proof
from provenance.ledger.tiles import check_tiles, open_tiles
from provenance.ledger.witness import MAX_REQUEST_BYTES, format_request
from provenance.timestamp import (
    MAX_RESPONSE_BYTES,
    open_timestamp,
    parse_roots,
    request_timestamp,
)
from workers.commands import Usage
from workers.cosigning import ask, growth, parse_witnesses, signed_note
from workers.folder import DataFolder, data_folder, open_folder
from workers.witness import answer, load_witness, make_witness
from workers.witness_http import WitnessDoor

MAX_ROOTS = 1_000_000  # bytes of a PEM file


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    log = commands.add_parser("log", help="sign, check, prove and give away the log")
    acts = log.add_subparsers(dest="act", required=True)
    sign = acts.add_parser("checkpoint", help="sign all that is recorded now, and print it")
    sign.set_defaults(run=run_checkpoint)
    one = acts.add_parser("prove", help="write the proof of one entry")
    add_entry(one)
    one.add_argument("--out", type=Path, required=True, metavar="F.tlog-proof")
    one.set_defaults(run=run_prove)
    export = acts.add_parser("export", help="write the log as static files for a web server")
    export.add_argument("folder", type=Path, metavar="FOLDER")
    export.set_defaults(run=run_export)
    check = acts.add_parser("check", help="re-read all; status 0: whole; 1: not; 2: cannot tell")
    check.add_argument("--export", type=Path, metavar="FOLDER", help="an exported log instead")
    check.add_argument("--key", metavar="VKEY", help="the verifier key of the exported log")
    check.add_argument("--roots", type=Path, metavar="PEM", help="check its timestamps with these")
    check.set_defaults(run=run_check)
    witness = acts.add_parser("witness", help="have another machine sign that the log only grew")
    register_witness(witness.add_subparsers(dest="step", required=True))
    timestamp = acts.add_parser("timestamp", help="have an RFC 3161 authority date the log")
    register_timestamp(timestamp.add_subparsers(dest="step", required=True))


def register_witness(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Two machines: new, sign and serve are the witness's, ask and keep the log's."""
    new = steps.add_parser("new", help="the witness: make a key and an empty state, print its vkey")
    new.add_argument("name", metavar="NAME")
    new.set_defaults(run=run_witness_new)
    ask = steps.add_parser("ask", help="the log: have it signed, or write what is to be signed")
    where = ask.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", metavar="URL", help="of a witness that answers over HTTP")
    where.add_argument("--out", type=Path, metavar="REQUEST", help="a file to take there instead")
    ask.add_argument("--witness", metavar="VKEY", help="the key of the witness at the URL")
    ask.add_argument("--since", type=int, metavar="SIZE", help="of the witness's state, for --out")
    ask.set_defaults(run=run_witness_ask)
    sign = steps.add_parser("sign", help="the witness: sign it if it extends what was signed")
    sign.add_argument("request", type=Path, metavar="REQUEST")
    sign.add_argument("--log", required=True, metavar="VKEY", help="the log's verifier key")
    sign.add_argument("--out", type=Path, required=True, metavar="CHECKPOINT")
    sign.set_defaults(run=run_witness_sign)
    serve = steps.add_parser("serve", help="the witness: sign over HTTP, as tlog-witness says")
    serve.add_argument(
        "--log", action="append", required=True, metavar="VKEY", help="the log's keys, of one name"
    )
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8001)
    serve.set_defaults(run=run_witness_serve)
    for step in (new, sign, serve):
        step.add_argument("--key", type=Path, required=True, metavar="FILE", help="the secret key")
        step.add_argument("--state", type=Path, required=True, metavar="FILE")
    keep = steps.add_parser("keep", help="the log: keep the signed checkpoint")
    keep.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    keep.add_argument("--witness", required=True, metavar="VKEY", help="the witness's key")
    keep.set_defaults(run=run_witness_keep)


def register_timestamp(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The bytes in between go to the authority and back by any HTTP client."""
    ask = steps.add_parser("ask", help="write STEM.tsq, the request, and STEM.checkpoint")
    ask.set_defaults(run=run_timestamp_ask)
    keep = steps.add_parser("keep", help="keep STEM.tsr, the response, if it holds")
    keep.add_argument("--roots", type=Path, required=True, metavar="PEM")
    keep.set_defaults(run=run_timestamp_keep)
    for step in (ask, keep):
        step.add_argument("stem", type=Path, metavar="STEM")


def add_entry(command: argparse.ArgumentParser) -> None:
    """Which entry is meant: by the id of its picture, or by its index."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", metavar="ID", help="of the picture's record")
    which.add_argument("--entry", type=int, metavar="N")


def find_entry(session: Session, options: argparse.Namespace) -> int:
    """The index that `add_entry` asked for."""
    if options.id is None:
        return int(options.entry)
    found = find_entries(session, "id", options.id.encode("utf-8", "replace"))
    if not found:
        raise NotLogged(f"the log has no picture {options.id!r}")
    return found[0]


def run_checkpoint(options: argparse.Namespace, console: Console) -> int:
    """Sign and print."""
    with open_folder(data_folder(os.environ)) as folder:
        note = sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
    print(note.decode(), end="")  # noqa: T201
    return 0


def run_prove(options: argparse.Namespace, console: Console) -> int:
    """Write a proof that stands alone."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        index = find_entry(session, options)
        write_file(options.out, format_proof(prove(session, index)))
    say(console, f"wrote the proof of entry {index} to {options.out}")
    return 0


def run_export(options: argparse.Namespace, console: Console) -> int:
    """Write or bring up to date a folder of static files."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        size = export_log(session, options.folder)
    say(console, f"{options.folder} holds the {size} entries of the last checkpoint")
    return 0


def run_check(options: argparse.Namespace, console: Console) -> int:
    """Re-read everything there is."""
    if (options.export is None) != (options.key is None):
        raise Usage("--export and --key go together")
    if options.export is not None and options.roots is not None:
        raise Usage("an exported log has no timestamps: --roots is for the log itself")
    try:
        said = check_own(options) if options.export is None else check_export(options)
    except LedgerError as e:
        say(console, f"not whole: {printable(str(e))}")
        return 1
    print(said)  # noqa: T201
    return 0


def check_own(options: argparse.Namespace) -> str:
    """Re-read the log of the data folder, and its timestamps if there are roots to trust."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        log = folder.keyring.log_verifiers()
        check_log(session, log, folder.anchor)
        size, stamps = log_size(session), all_timestamps(session)
    said = f"whole: {size} entries of {printable(log[0].name)}"
    if options.roots is None:
        return f"{said}, {len(stamps)} timestamps not checked" if stamps else said
    roots = parse_roots(read_file(options.roots, MAX_ROOTS))
    for timestamp in stamps:
        open_timestamp(timestamp, log, roots)
    return f"{said}, {len(stamps)} timestamps hold"


def check_export(options: argparse.Namespace) -> str:
    """Re-read a folder that `export` wrote, here or elsewhere."""
    log = [parse_vkey(options.key)]
    check_tiles(options.export, log)
    checkpoint = open_tiles(options.export, log)
    return f"whole: {checkpoint.size} entries of {printable(checkpoint.origin)}"


def run_witness_new(options: argparse.Namespace, console: Console) -> int:
    """Make a witness: it has signed nothing yet."""
    with options.state.open("xb"):
        witness = make_witness(options.key, options.name)
    print(format_vkey(witness.verifier))  # noqa: T201
    return 0


def run_witness_ask(options: argparse.Namespace, console: Console) -> int:
    """Have a witness sign the latest checkpoint, or write what it needs to do so."""
    if (options.url is None) != (options.witness is None):
        raise Usage("--url and --witness go together")
    if options.url is not None and options.since is not None:
        raise Usage("a witness at a URL says itself where it is: --since is for --out")
    with open_folder(data_folder(os.environ)) as folder:
        if options.url is not None:
            return ask_witness(folder, f"{options.witness} {options.url}", console)
        log = folder.keyring.log_verifiers()
        with snapshot(folder.engine) as session:
            request = growth(session, signed_note(session), log, options.since or 0)
    write_file(options.out, format_request(request))
    size = open_checkpoint(request.checkpoint, log).checkpoint.size
    say(console, f"wrote {options.out}: from size {request.old_size} to {size}")
    return 0


def ask_witness(folder: DataFolder, named: str, console: Console) -> int:
    """Have a witness that answers over HTTP sign the latest checkpoint."""
    (witness,) = parse_witnesses(named)
    new = ask(folder.engine, folder.keyring.log_verifiers(), witness)
    had = "kept the signature of" if new else "has the signature already of"
    say(console, f"{had} {witness.key.name}")
    return 0


def run_witness_sign(options: argparse.Namespace, console: Console) -> int:
    """Sign as the witness."""
    witness, log = load_witness(options.key), [parse_vkey(options.log)]
    request = read_file(options.request, MAX_REQUEST_BYTES)
    note = answer(request, options.state, log=log, witness=witness, now=datetime.now(UTC))
    write_file(options.out, note)
    size = open_checkpoint(note, log).checkpoint.size
    say(console, f"wrote {options.out}: {witness.name} has now signed size {size}")
    return 0


def run_witness_serve(options: argparse.Namespace, console: Console) -> int:
    """Sign as the witness, until told to stop, for whoever brings a checkpoint of the log."""
    log = [parse_vkey(key) for key in options.log]
    if len({key.name for key in log}) != 1:
        raise Usage("the keys of a log share one name: a witness of two logs is two witnesses")
    options.state.stat()  # a state that is lost must not look like one that is new
    door = WitnessDoor(log, load_witness(options.key), options.state)
    say(console, f"{door.witness.name} signs for {log[0].name} at {options.host}:{options.port}")
    uvicorn.run(
        door,
        host=options.host,
        port=options.port,
        lifespan="off",
        log_level="warning",
        server_header=False,
        limit_concurrency=64,
    )
    return 0


def run_witness_keep(options: argparse.Namespace, console: Console) -> int:
    """Keep a cosignature beside the log's own."""
    witness = parse_vkey(options.witness)
    note = read_file(options.checkpoint, MAX_NOTE_BYTES)
    with open_folder(data_folder(os.environ)) as folder:
        add_cosignatures(folder.engine, note, folder.keyring.log_verifiers(), [witness])
    say(console, f"kept the signature of {witness.name}")
    return 0


def run_timestamp_ask(options: argparse.Namespace, console: Console) -> int:
    """Write a request to date the latest checkpoint."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        note, log = signed_note(session), folder.keyring.log_verifiers()
        signers = open_checkpoint(note, log).signers
        newest = [key for key in log if key in signers][-1]
        dated, request = request_timestamp(note, newest)
    write_file(beside(options.stem, "checkpoint"), dated)
    write_file(beside(options.stem, "tsq"), request)
    say(console, f"wrote {options.stem}.tsq: send it, and save the answer as {options.stem}.tsr")
    return 0


def run_timestamp_keep(options: argparse.Namespace, console: Console) -> int:
    """Keep the authority's response, once it holds."""
    note = read_file(beside(options.stem, "checkpoint"), MAX_NOTE_BYTES)
    response = read_file(beside(options.stem, "tsr"), MAX_RESPONSE_BYTES)
    roots = parse_roots(read_file(options.roots, MAX_ROOTS))
    with open_folder(data_folder(os.environ)) as folder, transaction(folder.engine) as session:
        log = folder.keyring.log_verifiers()
        dated = keep_timestamp(session, Timestamp(note, response), log=log, roots=roots)
    say(console, f"size {dated.checkpoint.size} was signed by {dated.at.isoformat()}")
    return 0


def beside(stem: Path, ending: str) -> Path:
    """The file STEM.ending."""
    return stem.with_name(f"{stem.name}.{ending}")


def say(console: Console, text: str) -> None:
    """One line for the person, on standard error."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
