"""`countermark generate`: draw, mark, read back, sign, record, write."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from generators.catalog import GENERATORS, load_generator
from generators.catalog import find as find_model
from generators.sampling import Request
from provenance.database import snapshot
from provenance.files import write_file
from provenance.ledger.policy import parse_policy
from provenance.ledger.record import Picture
from provenance.pki import TEST_ORGANIZATION
from provenance.policies import effective
from provenance.reasons import tell
from provenance.robustness.attacks import Attack, find
from workers.brought import install_models
from workers.commands import Usage
from workers.eraser import Eraser
from workers.erasing import Banned, Kept, Refused, draw_kept
from workers.folder import TENANT, data_folder, load_claim_signer, load_trust, open_folder
from workers.generate import How, Marked, check_carries, unerased
from workers.marking import Kind, Marker
from workers.outfile import add_quality, encoding
from workers.seal import Sealed, seal

MOST = 64  # pictures a call
LONGEST = 500  # characters of a prompt
NO_ATTACK = "none"  # --survive: read back from the file alone


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    draw = commands.add_parser("generate", help="draw marked pictures from a prompt")
    draw.add_argument("prompt", metavar="PROMPT")
    draw.add_argument("--out", type=Path, default=Path("countermark.png"), metavar="F")
    add_quality(draw)
    draw.add_argument("--seed", type=int, metavar="N", help="default: a random one, printed")
    draw.add_argument("--count", type=int, default=1, metavar="N")
    draw.add_argument("--mark", type=Kind, choices=list(Kind), default=Kind.TRADE)
    draw.add_argument(
        "--survive",
        default=NO_ATTACK,
        metavar="ATTACK",
        help="what the mark must survive, e.g. jpeg-50: drawn more strongly marked until it does",
    )
    draw.add_argument("--proof", action="store_true", help="write F.tlog-proof beside each picture")
    draw.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    draw.set_defaults(run=run)


def outputs(out: Path, count: int) -> list[Path]:
    """The files to write: F.png, or F-1.png, F-2.png ... when there are several."""
    if count == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, count + 1)]


def run(options: argparse.Namespace, console: Console) -> int:
    """Draw, mark, read back, write."""
    files, survive = checked(options)
    written = encoding(options.out, options.quality)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    with open_folder(data_folder(os.environ)) as folder:
        install_models(folder.path)
        how = find_model(options.model).sampling
        requests = [Request(options.prompt, seed + n, how) for n in range(options.count)]
        key = folder.keyring.marks().active(TENANT)
        folder.labels.check_fit(written)
        now = datetime.now(UTC)
        signer, trust = load_claim_signer(folder, now=now), load_trust(folder, now=now)
        generator = load_generator(options.model)
        marker = Marker(generator.name, generator.spec, generator.codec)
        with snapshot(folder.engine) as session:
            policy = effective(session, TENANT, generator.name)
        rules = Eraser(folder).rules(policy, generator)
        with progress_bar(console) as progress:
            made = draw_kept(
                generator,
                marker,
                requests,
                How(options.mark, key, unerased, survive, folder.labels, written),
                rules,
                progress=progress,
            )
        pictures = passed(made, console)
        for marked in pictures:
            check_carries(marked)
        sealed = seal(
            folder, signer, pictures, trust=trust, marker=marker, key=key, erased=rules.erased
        )
    for file, picture in zip(files, sealed, strict=True):
        write_file(file, picture.file)
        if options.proof:
            write_file(file.with_suffix(".tlog-proof"), picture.proof)
        Console().print(describe(file, picture), markup=False, highlight=False, soft_wrap=True)
    return 0


def passed(made: Sequence[Kept | Refused], console: Console) -> list[Marked]:
    """The pictures; says what policies did, and raises Banned if they let one not pass."""
    told = dict.fromkeys(tell(reason) for one in made for reason in one.reasons)
    refused = [one for one in made if isinstance(one, Refused)]
    if refused:
        why = dict.fromkeys(tell(r) for one in refused for r in one.reasons)
        raise Banned(f"not drawn, by policy: {'; '.join(why)}")
    for line in told:
        console.print(f"policy: {line}", markup=False, highlight=False, soft_wrap=True)
    return [one.marked for one in made if isinstance(one, Kept)]


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """What to call with the steps done and the steps there are."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console
    )
    with bar:
        task = bar.add_task("drawing")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def checked(options: argparse.Namespace) -> tuple[list[Path], Attack | None]:
    """The files to write and the attack to survive; raises Usage or UnknownAttack."""
    if not 1 <= options.count <= MOST:
        raise Usage(f"--count must be between 1 and {MOST}, not {options.count}")
    if not options.prompt.strip() or len(options.prompt) > LONGEST:
        raise Usage(f"PROMPT must have 1 to {LONGEST} characters, not {len(options.prompt)}")
    survive = None if options.survive == NO_ATTACK else find(options.survive)
    return outputs(options.out, options.count), survive


def describe(file: Path, sealed: Sealed[Marked]) -> str:
    """One line about a picture made."""
    picture = sealed.marked
    finding, survived = picture.finding, picture.survived
    strength = "" if picture.mark is Kind.SWAP else f" of {picture.strength:g} nats"
    after = f", after {survived.attack} {survived.finding.corrected:.1e}" if survived else ""
    assert isinstance(sealed.record, Picture), "what is drawn is recorded as drawn"
    test = f" with a certificate of a test ({TEST_ORGANIZATION})"
    signed = f"signed{test if parse_policy(sealed.record.policy).test else ''}"
    return (
        f"{file}  seed {picture.drawn.request.seed}  {picture.mark} mark{strength}, read back "
        f"from the file: false-match probability {finding.corrected:.1e}{after}; {signed}, entry "
        f"{sealed.index} of the log"
    )
