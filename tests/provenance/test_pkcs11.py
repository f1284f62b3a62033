"""A claim key in a PKCS #11 token signs as one in a file does; tried with SoftHSM where it is."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from provenance.manifest.finding import State
from provenance.manifest.read import open_trust, read
from provenance.manifest.write import sign
from provenance.pkcs11 import FORMAT, Place, open_token, parse_place
from provenance.pki import BadCredentials, issue_leaf, make_root, pem
from tests.provenance.manifest.files import KINDS, NOW, make_claim, picture
from tests.provenance.tokens import Token, needs_softhsm

GOOD = json.dumps({"format": FORMAT, "library": "a.so", "token": "t", "key": "k"}).encode()


def opened(*place: str) -> str:
    """What opening a key says in a process of its own, which has not logged in before."""
    program = (
        "from provenance.pkcs11 import Place, _open\n"
        f"try: _open(Place(*{place!r}))\n"
        "except Exception as e: print(type(e).__name__, e)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return said.stdout


@needs_softhsm
def test_a_wrong_pin_is_one_error_that_does_not_repeat_it(token: Token) -> None:
    place = token.place
    said = opened(place.library, place.token, place.key, "0815")
    assert said.startswith("BadCredentials cannot open key 'claim'")
    assert "PinIncorrect" in said
    assert "0815" not in said
    assert opened(place.library, place.token, place.key, place.pin) == ""


@needs_softhsm
def test_what_a_token_signed_is_trusted(token: Token) -> None:
    signer = open_token(token.place, [token.leaf.certificate], now=NOW)
    trust = open_trust(pem([token.root.certificate]), now=NOW)
    for kind in KINDS:
        signed = sign(picture(kind), make_claim(), signer)
        assert read(signed.file, trust, now=NOW).state is State.TRUSTED


@needs_softhsm
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"library": "/nowhere.so"}, "cannot open key"),
        ({"token": "other"}, "NoSuchToken"),
        ({"key": "other"}, "NoSuchKey"),
    ],
)
def test_a_token_that_is_not_as_named_is_one_error(
    token: Token, change: dict[str, str], says: str
) -> None:
    with pytest.raises(BadCredentials, match=says):
        open_token(replace(token.place, **change), [token.leaf.certificate], now=NOW)


@needs_softhsm
def test_a_certificate_of_another_key_is_found_before_anything_is_signed(token: Token) -> None:
    other = issue_leaf(token.root, "Other", now=NOW).certificate
    with pytest.raises(BadCredentials, match="not that of the certificate"):
        open_token(token.place, [other], now=NOW)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    place = Place("a.so", "t", "k", "5678")
    certificate = issue_leaf(make_root("A", now=NOW), "B", now=NOW).certificate
    with pytest.raises(BadCredentials, match=r"pip install countermark\[pkcs11\]"):
        open_token(place, [certificate], now=NOW)


def test_a_place_is_read_and_keeps_its_pin_to_itself() -> None:
    place = parse_place(GOOD, b"5678\n", name="it")
    assert place == Place("a.so", "t", "k", "5678")
    assert "5678" not in repr(place)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("token/1", "token/2"),
        ('"k"', '""'),
        ('"k"', "5"),
        ('"key"', '"id"'),
        ('"key"', '"pin": "1", "key"'),
        ("{", "["),
    ],
)
def test_a_place_with_one_thing_wrong_is_refused(old: str, new: str) -> None:
    with pytest.raises(BadCredentials, match="does not name a token"):
        parse_place(GOOD.decode().replace(old, new, 1).encode(), b"5678", name="it")
