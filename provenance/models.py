"""Which generators the workers have, as the workers themselves say.

The server has no generator and loads none: it believes this table. A model is there as long as a
worker says so at least every `STALE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from provenance.tables import ModelRow

STALE = timedelta(minutes=2)
ANNOUNCE = timedelta(seconds=30)


@dataclass(frozen=True)
class Model:
    """A generator: what it draws, how large (px), under which licence, from which weights (hex)."""

    name: str
    draws: str
    side: int
    licence: str
    weights: str
    marks: tuple[str, ...]  # the kinds of mark it can be drawn with
    uploads: bool = False  # whether its codec marks pictures that exist already


def announce(session: Session, models: Sequence[Model], *, now: datetime) -> None:
    """Says that a worker has these models now."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    for one in models:
        facts = {**asdict(one), "marks": list(one.marks)}
        row = dialect.insert(ModelRow).values(name=one.name, facts=facts, seen=now)
        change = {"facts": row.excluded.facts, "seen": row.excluded.seen}
        session.execute(row.on_conflict_do_update(index_elements=[ModelRow.name], set_=change))


def known(session: Session) -> list[tuple[Model, datetime]]:
    """Every model that a worker ever had, by name, with when one last said so."""
    rows = session.scalars(sa.select(ModelRow).order_by(ModelRow.name))
    return [(Model(**{**row.facts, "marks": tuple(row.facts["marks"])}), row.seen) for row in rows]
