"""Webhooks: where a tenant's events are sent, and how that went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Response
from pydantic import BaseModel, Field

from api.admission import Asking, router
from api.documents import Taken
from api.installation import Here
from api.lists import Limit
from api.problems import Kind, Problem, invalid
from provenance import outbox, webhooks
from provenance.database import snapshot, transaction
from provenance.outbound import URL_CHARACTERS, Refused, parse_url
from provenance.outbox import Delivery, Event, Outcome
from provenance.webhooks import TooMany, Webhook

routes = router()

WebhookId = Annotated[str, Path(max_length=100, description="The id of a webhook, a UUID.")]


class Wanted(Taken):
    """Where events are to go, and which."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=URL_CHARACTERS,
            pattern=r"^https?://[!-~]+$",
            description="Takes events by POST. https, a public host, port 443, 80 or from 1024 on; "
            "http and private addresses only where the operator allows them. Redirects are not "
            "followed.",
            examples=["https://example.com/countermark"],
            json_schema_extra={"format": "uri"},
        ),
    ]
    events: Annotated[
        list[Annotated[Event, Field(strict=False)]],
        Field(min_length=1, max_length=len(Event), description="Those that are sent."),
    ] = list(Event)


class Known(BaseModel):
    """A webhook."""

    id: str
    url: str
    events: list[Event]
    created: datetime


class Made(Known):
    """A webhook, with what signs its events."""

    secret: Annotated[
        str,
        Field(
            description="whsec_ and 32 bytes in base64: signs every event, as standard-webhooks "
            "says, in the headers webhook-id, webhook-timestamp and webhook-signature. Shown this "
            "once."
        ),
    ]


class Listed(BaseModel):
    data: list[Known]


class Sent(BaseModel):
    """An event on its way."""

    id: Annotated[str, Field(description="The header webhook-id: the same at every attempt.")]
    event: Event
    outcome: Outcome
    attempts: Annotated[int, Field(ge=0)]
    status: Annotated[int | None, Field(description="Of the last answer, if there was one.")]
    error: Annotated[str | None, Field(description="Why the last attempt did not arrive.")]
    created: datetime
    due: Annotated[datetime | None, Field(description="Of the next attempt; null once ended.")]
    ended: datetime | None


class Deliveries(BaseModel):
    data: list[Sent]


@routes.post("/v1/webhooks", status_code=201, tags=["webhooks"])
def add_webhook(wanted: Wanted, here: Here, asker: Asking) -> Made:
    """Send the tenant's events to an address from now on."""
    try:
        parse_url(wanted.url, here.reach)
    except Refused as e:
        raise invalid("url", str(e)) from e
    try:
        with transaction(here.engine) as session:
            made, secret = webhooks.add(
                session,
                asker.tenant.id,
                wanted.url,
                wanted.events,
                key=here.tokens[0],
                now=datetime.now(UTC),
            )
    except TooMany as e:
        raise Problem(Kind.QUOTA, str(e)) from e
    return Made(**_describe(made).model_dump(), secret=secret)


@routes.get("/v1/webhooks", tags=["webhooks"])
def list_webhooks(here: Here, asker: Asking) -> Listed:
    """The tenant's webhooks, the oldest first; without their secrets."""
    with snapshot(here.engine) as session:
        return Listed(data=[_describe(one) for one in webhooks.of_tenant(session, asker.tenant.id)])


@routes.delete("/v1/webhooks/{webhook}", status_code=204, tags=["webhooks"], response_model=None)
def delete_webhook(webhook: WebhookId, here: Here, asker: Asking) -> Response:
    """Send nothing there any more, not even what was on its way."""
    with transaction(here.engine) as session:
        webhooks.delete(session, webhook, asker.tenant.id)
    return Response(status_code=204)


@routes.get("/v1/webhooks/{webhook}/deliveries", tags=["webhooks"])
def list_deliveries(webhook: WebhookId, here: Here, asker: Asking, limit: Limit = 20) -> Deliveries:
    """The newest events sent there, and how that went; ended ones for a week."""
    with snapshot(here.engine) as session:
        webhooks.read(session, webhook, asker.tenant.id)
        return Deliveries(data=[_sent(one) for one in outbox.page(session, webhook, limit=limit)])


def _describe(webhook: Webhook) -> Known:
    return Known(
        id=webhook.id, url=webhook.url, events=list(webhook.events), created=webhook.created
    )


def _sent(delivery: Delivery) -> Sent:
    return Sent(
        id=delivery.id,
        event=delivery.event,
        outcome=delivery.outcome,
        attempts=delivery.attempts,
        status=delivery.status,
        error=delivery.error,
        created=delivery.created,
        due=delivery.due,
        ended=delivery.ended,
    )
