"""Sending is a hint: it never fails what is committed already."""

from __future__ import annotations

import logging
import socket
import time
from uuid import uuid4

import pytest
from celery import Celery

from workers.queue import QUEUES, SECONDS, answers, connect

BROKER = "amqp://guest:guest@127.0.0.1:5672//"


def test_without_a_broker_nothing_is_sent() -> None:
    assert connect(None, "x")("generate", "id") is None


def test_a_broker_that_is_gone_leaves_the_job_to_the_sweep(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as free, caplog.at_level(logging.WARNING):
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        broker = f"amqp://guest:guest@127.0.0.1:{port}//"
        connect(broker, "x")("generate", "the-id")
        assert not answers(broker)
    assert "the-id stays for the sweep" in caplog.text


def test_a_broker_that_takes_connections_and_says_nothing_does_not_answer() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        assert not answers(f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}//")
        assert time.monotonic() - started < 10 * SECONDS


def test_a_message_is_a_name_and_an_id_in_json() -> None:
    try:
        socket.create_connection(("127.0.0.1", 5672), timeout=1).close()
    except OSError:
        pytest.skip("no RabbitMQ on 127.0.0.1:5672")
    assert answers(BROKER)
    queues = f"countermark-test-{uuid4().hex}"
    name = f"{queues}.{QUEUES['verify']}"
    with Celery(broker=BROKER).connection() as connection, connection.channel() as channel:
        try:
            connect(BROKER, queues)("verify", "the-id")
            message = channel.basic_get(name, no_ack=True)
        finally:
            channel.queue_delete(name)
    assert message.content_type == "application/json"
    assert message.headers["task"] == "countermark.verify"
    assert '"the-id"' in str(message.body)
