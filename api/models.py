"""Which models can be asked for now: those that a worker spoke of lately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from api.problems import Fault, Kind, Problem
from provenance import models
from provenance.models import ANNOUNCE, STALE, Model


def listed(session: Session) -> list[tuple[Model, datetime]]:
    """The models that a worker has now, with when one last said so."""
    now = datetime.now(UTC)
    return [(one, seen) for one, seen in models.known(session) if now - seen <= STALE]


def check_model(session: Session, name: str) -> Model:
    """The model of a name; raises the problem that there is none, or that no worker has it now."""
    now, known = datetime.now(UTC), models.known(session)
    for one, seen in known:
        if one.name == name and now - seen <= STALE:
            return one
        if one.name == name:
            minutes = (now - seen) // timedelta(minutes=1)
            raise Problem(
                Kind.UNAVAILABLE,
                f"model {name!r}: no worker has it now; one had {minutes} minutes ago",
                headers={"Retry-After": str(ANNOUNCE // timedelta(seconds=1))},
            )
    names = ", ".join(one.name for one, _ in listed(session)) or "none: no worker has any now"
    detail = f"no model {name!r}; there are: {names}"
    raise Problem(Kind.NOT_FOUND, detail, errors=[Fault("model", "not known here", names)])
