"""What the ledger costs as it grows: `python -m bench.ledger --sizes 1e3 1e4 1e5 1e6`.

Prints a Markdown table; `bench.provenance` puts it into its page. The entries of the large trees
are simulated, eight bytes each and written in bulk; everything measured on them is the real code,
and so are the records whose appending is timed. `--postgres URL` names a server on which a database
of its own is made and dropped; without it only SQLite is measured.
"""

import argparse
import os
import platform
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from migrations import upgrade
from provenance.database import connect, snapshot, transaction
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.errors import Malformed
from provenance.ledger.log import Draft, append, log_size, prove, prove_growth, read_nodes
from provenance.ledger.merkle import cover, grow, leaf_hash
from provenance.ledger.note import Algorithm, Signer
from provenance.ledger.proof import format_proof, open_proof
from provenance.ledger.record import Digest, Mark, Picture
from provenance.tables import EntryRow, NodeRow

SIGNER = Signer("bench.example/log", Algorithm.ED25519, sha256(b"bench").digest())
PICTURE = Picture(
    at=datetime(2026, 11, 22, tzinfo=UTC),
    id="0",
    software="countermark 0.1.0",
    generator="raster-256",
    weights=Digest(sha256(b"weights").digest()),
    mark=Mark("green-list/1", "mark-2026-11"),
    policy="house/1",
    erased=(),
    pixels=Digest(b"\x00" * 32),
    file=Digest(b"\x00" * 32),
    fingerprint="pdq1:" + "00" * 32,
    manifest="urn:c2pa:3fa85f64-5717-4562-b3fc-2c963f66afa6",
    commitments=(),
)
CHUNK = 20_000  # simulated leaves in one transaction


@dataclass(frozen=True)
class Bench:
    """One database under measurement, with its anchor on the same disk."""

    name: str
    engine: sa.Engine
    anchor: Path
    rng: random.Random


COLUMNS = (
    *("database", "entries", "inclusion proof", "its check", "consistency proof", "checkpoint"),
    *("appends/s, one a transaction", "100 a transaction", "bytes a record"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e3, 1e4, 1e5, 1e6])
    parser.add_argument("--postgres", metavar="URL")
    given = parser.parse_args(arguments)
    sizes = sorted(int(size) for size in given.sizes)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} x {cpu_name()}, ", end="")
    print(f"Python {platform.python_version()}; medians\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with databases(given.postgres) as benches:
        for bench in benches:
            for size in sizes:
                print(row(bench, size), flush=True)


def row(bench: Bench, size: int) -> str:
    simulate(bench, size)
    sign_checkpoint(bench.engine, [SIGNER], bench.anchor)
    with snapshot(bench.engine) as session:
        proofs = []
        included = median(
            lambda: proofs.append(format_proof(prove(session, bench.rng.randrange(size)))), 200
        )
        grown = median(lambda: prove_growth(session, bench.rng.randrange(1, size), size), 200)
    checked = median(lambda: check(proofs.pop()), 200)
    signed = checkpoints(bench)
    times = [f"{t * 1e3:.2f} ms" for t in (included, checked, grown, signed)]
    return f"| {' | '.join([bench.name, f'{size:,}', *times, *appends(bench)])} |"


def simulate(bench: Bench, size: int) -> None:
    """Brings the log to `size` entries, without records worth reading."""
    with snapshot(bench.engine) as session:
        start = log_size(session)
    while start < size:
        end = min(start + CHUNK, size)
        records = [index.to_bytes(8, "big") for index in range(start, end)]
        with transaction(bench.engine) as session:
            made = grow(start, read_nodes(session, cover(0, start)), map(leaf_hash, records))
            session.execute(
                sa.insert(EntryRow),
                [{"index": i, "record": r} for i, r in enumerate(records, start)],
            )
            session.execute(
                sa.insert(NodeRow),
                [{"level": n[0], "place": n[1], "hash": value} for n, value in made.items()],
            )
        start = end


def checkpoints(bench: Bench) -> float:
    """The median time to sign, counting every sync to the disk, after each of some appends."""
    times = []
    for _ in range(20):
        with transaction(bench.engine) as session:
            append(session, [draft()])
        start = perf_counter()
        sign_checkpoint(bench.engine, [SIGNER], bench.anchor)
        times.append(perf_counter() - start)
    return statistics.median(times)


def check(proof: bytes) -> None:
    """The auditor's work, of which a simulated record only fails the last step."""
    try:
        open_proof(proof, [SIGNER.verifier])
    except Malformed as e:
        if "record does not start" not in str(e):
            raise


def appends(bench: Bench) -> list[str]:
    """Durable records a second, one at a time and in batches, and the bytes that each takes."""
    single = rate(bench, drafts=1, transactions=200)
    before, start = stored_bytes(bench.engine), entries(bench.engine)
    batched = rate(bench, drafts=100, transactions=50)
    added = stored_bytes(bench.engine) - before
    each = added / (entries(bench.engine) - start)
    return [f"{single:,.0f}", f"{batched:,.0f}", f"{each:,.0f}"]


def rate(bench: Bench, *, drafts: int, transactions: int) -> float:
    """Records a second, each durable before the next transaction begins."""
    batches = [[draft() for _ in range(drafts)] for _ in range(transactions)]
    start = perf_counter()
    for batch in batches:
        with transaction(bench.engine) as session:
            append(session, batch)
    return drafts * transactions / (perf_counter() - start)


def draft() -> Draft:
    name = uuid4().hex
    pixels, file = (Digest(sha256(f"{name} {what}".encode()).digest()) for what in "pf")
    record = replace(PICTURE, id=name, pixels=pixels, file=file, manifest=f"urn:c2pa:{uuid4()}")
    return Draft(record)


def median(act: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = perf_counter()
        act()
        taken.append(perf_counter() - start)
    return statistics.median(taken)


def entries(engine: sa.Engine) -> int:
    with snapshot(engine) as session:
        return log_size(session)


def stored_bytes(engine: sa.Engine) -> int:
    """Bytes of all tables and indexes, the write-ahead log left out."""
    sizes = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE c.relkind = 'r'"
    pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    with snapshot(engine) as session:
        query = pages if engine.dialect.name == "sqlite" else sizes
        return int(session.scalar(sa.text(query)) or 0)


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


@contextmanager
def databases(server: str | None) -> Iterator[Sequence[Bench]]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = [connect(f"sqlite:///{folder / 'bench.db'}")]
        database = f"countermark_bench_{uuid4().hex}"
        if server is not None:
            administer(server, f"CREATE DATABASE {database}")
            made.append(
                connect(
                    make_url(server).set(database=database).render_as_string(hide_password=False)
                )
            )
        try:
            for engine in made:
                upgrade(engine)
            yield [
                Bench(e.dialect.name, e, folder / f"anchor.{e.dialect.name}", random.Random(1))  # noqa: S311
                for e in made
            ]
        finally:
            for engine in made:
                engine.dispose()
            if server is not None:
                administer(server, f"DROP DATABASE {database} WITH (FORCE)")


def administer(server: str, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


if __name__ == "__main__":
    main()
