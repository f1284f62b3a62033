"""A process that appends pictures and signs checkpoints until it is killed.

`python -m tests.provenance.ledger.appender URL ANCHOR PREFIX [COUNT]` writes the id of each picture
on a line of its own, after its transaction has returned: from then on it must never be lost.
"""

import itertools
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from provenance.database import Busy, connect, transaction
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, append
from tests.provenance.ledger.logs import LOG, picture

SIGN_EVERY = 5


def main(url: str, anchor: str, prefix: str, count: str = "") -> None:
    engine = connect(url)
    for n in range(int(count)) if count else itertools.count():
        name = f"{prefix}-{n}"
        in_turn(partial(append_one, engine, name))
        os.write(1, f"{name}\n".encode())
        if n % SIGN_EVERY == 0:
            in_turn(partial(sign_checkpoint, engine, [LOG], Path(anchor)))
    engine.dispose()


def append_one(engine: Engine, name: str) -> None:
    with transaction(engine) as session:
        append(session, [Draft(picture(name))])


def in_turn(act: Callable[[], object]) -> None:
    """SQLite's lock goes to whoever asks at the right moment: on a busy machine others may win."""
    while True:
        try:
            act()
        except Busy:
            continue
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
