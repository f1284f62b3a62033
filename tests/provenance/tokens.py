"""A PKCS #11 token for tests: SoftHSM's, where it is installed."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from provenance.pkcs11 import Place
from provenance.pki import Issued, issue_leaf, make_root
from tests.provenance.manifest.files import NOW

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
LIBRARY = next((one for one in LIBRARIES if Path(one).exists()), None)

needs_softhsm = pytest.mark.skipif(
    LIBRARY is None or shutil.which("softhsm2-util") is None,
    reason="SoftHSM2 is not installed: apt-get install softhsm2",
)


@dataclass(frozen=True)
class Token:
    """A token that holds the key of a certificate, and the root above it."""

    place: Place
    leaf: Issued
    root: Issued


@contextmanager
def soft_token(folder: Path) -> Iterator[Token]:
    """A new token in the folder; the library of this process finds it, once and for all."""
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    root = make_root("Token Authority", now=NOW)
    leaf = issue_leaf(root, "Token Maker", now=NOW)
    (folder / "key.pem").write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        made = ["--init-token", "--free", "--label", "claims", "--so-pin", "1234", "--pin", "5678"]
        kept = ["--import", str(folder / "key.pem"), "--token", "claims", "--pin", "5678"]
        for asked in (made, [*kept, "--label", "claim", "--id", "01"]):
            subprocess.run(["softhsm2-util", *asked], check=True, capture_output=True)
        yield Token(Place(LIBRARY or "", "claims", "claim", "5678"), leaf, root)
