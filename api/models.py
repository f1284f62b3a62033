"""Which models can be asked for now: those that a worker spoke of lately."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from api.problems import Fault, Kind, Problem
from provenance import models
from provenance.models import STALE, Model


def listed(session: Session) -> list[tuple[Model, datetime]]:
    """The models that a worker has now, with when one last said so."""
    now = datetime.now(UTC)
    return [(one, seen) for one, seen in models.known(session) if now - seen <= STALE]


def check_model(session: Session, name: str) -> Model:
    """The model of a name; raises the problem that there is none, and says which there are."""
    found = [one for one, _ in listed(session)]
    for one in found:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in found) or "none: no worker has spoken lately"
    detail = f"no model {name!r}; there are: {names}"
    raise Problem(Kind.NOT_FOUND, detail, errors=[Fault("model", "not known here", names)])
