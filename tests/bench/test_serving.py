"""The service as processes of their own, embedded and as docker-compose.yml starts it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from bench.serving import kills
from bench.serving.__main__ import toy, uploads
from bench.serving.composed import OURS, module_commands, services
from bench.serving.proxy import Proxy
from bench.serving.running import Running, deployed, embedded
from provenance.jobs import State
from tests.workers.listeners import listening

JOBS = 30
WATCHED = ("generation.done", "verification.done")
JSON = {"Content-Type": "application/json"}
NEEDED = {"PostgreSQL": 5432, "RabbitMQ": 5672}


def check_servers() -> None:
    """Fails in CI, and skips elsewhere, where what is deployed upon is not there."""
    for name, port in NEEDED.items():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            missing = f"no {name} on 127.0.0.1:{port}, so the deployed service cannot be tried"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)


def installed(kind: str, place: Path) -> AbstractContextManager[Running]:
    if kind == "deployed":
        check_servers()
        return deployed(place / "data", toy())
    return embedded(place / "data", toy())


@pytest.fixture(params=["embedded", "deployed"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    with installed(str(request.param), tmp_path) as made:
        yield made


def test_a_picture_is_drawn_given_out_and_found_again(running: Running) -> None:
    check_flow(running)


@pytest.mark.skipif(
    "COUNTERMARK_TEST_KILLS" not in os.environ, reason="minutes: COUNTERMARK_TEST_KILLS=1"
)
def test_everything_may_die_and_nothing_is_lost(running: Running) -> None:
    outcome = kills.run(running, uploads(4, side=128), count=JOBS, model="toy", seed=1)
    assert outcome.acknowledged == JOBS
    assert outcome.ended[State.DONE] >= JOBS / 2
    assert outcome.blows.total() > 0


def check_flow(running: Running) -> None:
    """A picture is drawn, given out with its proof, and found to be ours; a stranger's is not.

    Meanwhile a webhook is told of all three jobs.
    """
    with listening() as listener:
        body = json.dumps({"url": listener.url, "events": [*WATCHED]}).encode()
        made = running.client.insist("POST", "/v1/webhooks", body, JSON)
        assert made["secret"].startswith("whsec_")
        jobs = draw_and_verify(running)
        deadline = time.monotonic() + 60
        while len(listener.got) < len(jobs):
            assert time.monotonic() < deadline, "an event did not arrive"
            time.sleep(0.1)
    told = [json.loads(body) for _, body in listener.got]
    assert sorted(one["data"]["id"] for one in told) == sorted(jobs)
    assert {one["type"] for one in told} == set(WATCHED)


def draw_and_verify(running: Running) -> list[str]:
    """The ids of the jobs that did so."""
    client = running.client
    drawn_by = job = client.generate("grey", 7, 1, "drawn", "toy")
    drawn = client.ended(f"/v1/generations/{job}")
    assert drawn["state"] == "done"
    (picture,) = drawn["images"]
    status, file = client.once("GET", f"/v1/images/{picture['id']}")
    assert status == 200
    with Image.open(BytesIO(file)) as opened:
        assert opened.size == (128, 128)
    assert proof_of(running, picture["id"]).startswith(b"c2sp.org/tlog-proof@v1\n")
    jobs = [drawn_by]
    for data, outcome in ((file, "intact"), (uploads(1, side=128)[0], "no evidence")):
        job = client.verify(data, outcome.replace(" ", "-"))
        found = client.ended(f"/v1/verifications/{job}")
        assert found["verdict"]["outcome"] == outcome
        jobs.append(job)
    check_counted(running)
    return jobs


def check_counted(running: Running) -> None:
    """What the workers counted in their processes is told by the server's."""
    wanted = (
        'countermark_step_seconds_count{kind="generate",step="append"} 1.0',
        'countermark_jobs_ended_total{kind="verify",outcome="done"} 2.0',
        'countermark_verdicts_total{verdict="no evidence"} 1.0',
    )
    deadline = time.monotonic() + 60
    while True:
        status, text = running.client.once("GET", "/metrics")
        assert status == 200, text
        if all(f"{line}\n".encode() in text for line in wanted):
            return
        assert time.monotonic() < deadline, text.decode()
        time.sleep(0.5)


def proof_of(running: Running, picture: str) -> bytes:
    """The proof, which is there once the sequencer has signed a checkpoint."""
    deadline = time.monotonic() + 60
    while True:
        status, proof = running.client.once("GET", f"/v1/images/{picture}.proof")
        if status == 200:
            return proof
        assert status == 404, proof
        assert time.monotonic() < deadline, "no checkpoint covers the record"
        time.sleep(0.2)


def test_the_compose_file_runs_our_programs_and_has_no_default_secret() -> None:
    found = services()
    assert set(found) == {"postgres", "rabbitmq", *OURS}
    for name, command in module_commands().items():
        assert command, name
        secrets = json.dumps(found[name]["environment"])
        assert "POSTGRES_PASSWORD:?" in secrets
        assert "RABBITMQ_PASSWORD:?" in secrets
        assert found[name]["cap_drop"] == ["ALL"]
    for name in ("postgres", "rabbitmq", "api"):
        assert found[name]["healthcheck"]["test"]
    image = (Path(__file__).parents[2] / "Dockerfile").read_text(encoding="utf-8")
    assert "USER countermark\n" in image


def test_a_cut_proxy_refuses_until_it_is_mended() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Proxy(server.getsockname()[1]) as proxy,
        ExitStack() as stack,
    ):

        def connect() -> socket.socket:
            made = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
            return stack.enter_context(made)

        def accept() -> socket.socket:
            return stack.enter_context(server.accept()[0])

        before = connect()
        before.sendall(b"a")
        assert accept().recv(1) == b"a"
        proxy.cut()
        assert ended(before)
        assert ended(connect())
        proxy.mend()
        after = connect()
        accept().sendall(b"b")
        assert after.recv(1) == b"b"


def ended(connection: socket.socket) -> bool:
    """Whether the other side is gone."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
