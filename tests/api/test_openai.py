"""The `openai` package, unchanged, against a running server: two settings, nothing else."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import openai
import pytest

from provenance.ledger.proof import open_proof
from provenance.manifest.container import sniff
from tests.api.installations import Installed
from tests.api.serving import serving


@pytest.fixture(scope="module")
def address(here: Installed) -> Iterator[str]:
    with serving(here.app) as found:
        yield found


@pytest.fixture(scope="module")
def client(here: Installed, address: str) -> Iterator[openai.OpenAI]:
    key = here.key()["Authorization"].removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as made:
        yield made


def test_a_strangers_client_generates_saves_and_verifies(
    here: Installed, client: openai.OpenAI, address: str, tmp_path: Path
) -> None:
    made = client.images.generate(
        model="icons-128", prompt="a red apple", n=2, size="128x128", output_format="png"
    )
    assert made.data is not None
    saved = tmp_path / "apple.png"
    saved.write_bytes(b64decode(made.data[0].b64_json or ""))
    verdict = client.post(
        "/verifications",
        cast_to=object,
        body=None,
        files=[("file", ("apple.png", saved.read_bytes(), "image/png"))],
        options={"headers": {"Prefer": "wait=30", "Content-Type": "multipart/form-data"}},
    )
    assert verdict["verdict"]["outcome"] == "intact"  # type: ignore[index]
    ours = made.data[0].model_extra["countermark"]  # type: ignore[index]
    proof = here.client.get(f"/v1/images/{ours['id']}.proof", headers=here.key()).content
    assert open_proof(proof, here.log).index == ours["entry"]


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_files_come_in_the_format_and_quality_that_was_asked_for(
    client: openai.OpenAI, kind: str
) -> None:
    sizes = []
    for quality in (100, 10):
        made = client.images.generate(
            model="icons-128",
            prompt="a fig",
            output_format=kind,  # type: ignore[call-overload]
            output_compression=quality,
        )
        file = b64decode(made.data[0].b64_json)
        assert (made.output_format, sniff(file)) == (kind, f"image/{kind}")
        sizes.append(len(file))
    assert sizes[0] > sizes[1]


def test_a_url_is_given_where_it_is_asked_for(here: Installed, client: openai.OpenAI) -> None:
    made = client.images.generate(model="icons-128", prompt="a pear", response_format="url")
    assert made.data is not None
    assert made.data[0].b64_json is None
    path = (made.data[0].url or "").removeprefix("http://testserver")
    assert here.client.get(path, headers=here.key()).headers["content-type"] == "image/png"


def test_models_are_listed_and_read(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["icons-128"]
    assert client.models.retrieve("icons-128").owned_by == "countermark"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-image-1")
    assert refused.value.code == "not-found"


def test_ours_go_under_countermark_and_seeds_are_kept(client: openai.OpenAI) -> None:
    body = {"seed": 7, "countermark": {"mark": "both", "survive": "jpeg-50"}}
    made = client.images.generate(model="icons-128", prompt="a plum", extra_body=body)
    assert made.data is not None
    assert made.data[0].model_extra["countermark"]["facts"]["seed"] == 7  # type: ignore[index]


@pytest.mark.parametrize(
    ("wish", "error", "param"),
    [
        ({"model": "unknown"}, openai.NotFoundError, "model"),
        ({"size": "1024x1024"}, openai.UnprocessableEntityError, "size"),
        ({"n": 9}, openai.UnprocessableEntityError, "n"),
        ({"prompt": ""}, openai.UnprocessableEntityError, "prompt"),
        ({"style": "vivid"}, openai.UnprocessableEntityError, "style"),
        ({"output_format": "gif"}, openai.UnprocessableEntityError, "output_format"),
        ({"output_compression": 50}, openai.UnprocessableEntityError, "output_compression"),
        ({"prompt": "unmarkable"}, openai.UnprocessableEntityError, None),
    ],
)
def test_the_client_reads_our_problems(
    client: openai.OpenAI, wish: dict[str, str], error: type[openai.APIStatusError], param: str
) -> None:
    good = {"model": "icons-128", "prompt": "a fig"}
    with pytest.raises(error) as refused:
        client.images.generate(**(good | wish))  # type: ignore[call-overload]
    assert refused.value.param == param
    assert refused.value.code


def test_a_wrong_key_is_an_authentication_error(address: str) -> None:
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="cm_wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="API key is needed"),
    ):
        client.images.generate(prompt="x")


def test_an_upload_that_is_too_large_is_told_so_over_a_real_connection(
    here: Installed, address: str
) -> None:
    headers = here.key() | {"Content-Type": "image/png"}
    large = Request(f"{address}/v1/verifications", b"x" * 27_000_000, headers)
    with pytest.raises(OSError, match="413"):
        urlopen(large)
