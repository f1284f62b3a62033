"""A data folder is made whole or not at all, and opened whole or not at all."""

import json
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from migrations import downgrade
from provenance.database import connect, snapshot, transaction
from provenance.keyring import BadStep, ExposedKeyring, change, rotate
from provenance.keys import KeyState, Purpose, claim_material
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.audit import check_log
from provenance.ledger.checkpoint import open_checkpoint
from provenance.ledger.log import Draft, append, prove
from provenance.manifest.cose import check_signature
from provenance.pkcs11 import FORMAT
from provenance.pki import (
    CHAIN,
    KEY,
    ROOT,
    TestPki,
    find_test,
    issue_leaf,
    make_root,
    pem,
    refuse_test_pki,
)
from provenance.settings import DATABASE
from tests.provenance.ledger.logs import picture
from tests.provenance.tokens import Token, needs_softhsm
from workers.folder import (
    ANCHOR,
    CLAIM_PIN,
    CLAIM_TOKEN,
    KEYS,
    PRODUCTION,
    TENANT,
    NoFolder,
    data_folder,
    declare_production,
    load_claim_signer,
    load_keys,
    load_trust,
    make,
    open_folder,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder, made."""
    make(tmp_path / "data", now=NOW)
    return tmp_path / "data"


def test_the_folder_and_its_keys_are_the_owners_alone(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / KEYS).stat().st_mode) == 0o600


def test_a_new_folder_has_keys_an_empty_log_and_its_signed_checkpoint(tmp_path: Path) -> None:
    made = make(tmp_path / "a?b %41", origin="example.com/log", now=NOW)
    with open_folder(tmp_path / "a?b %41") as opened, snapshot(opened.engine) as session:
        assert opened.keyring == made
        log = made.log_verifiers()
        check_log(session, log, opened.anchor)
        first = open_checkpoint(opened.anchor.read_bytes(), log).checkpoint
        assert (first.origin, first.size) == ("example.com/log", 0)
    assert load_keys(tmp_path / "a?b %41").active(TENANT).created == NOW
    assert {key.purpose for key in made.keys} == set(Purpose)
    assert [p.name for p in tmp_path.iterdir()] == ["a?b %41"]


def test_an_open_folder_records_and_proves(folder: Path) -> None:
    with open_folder(folder) as opened:
        with transaction(opened.engine) as session:
            append(session, [Draft(picture("a"))])
        sign_checkpoint(opened.engine, opened.keyring.log_signers(), opened.anchor)
    with open_folder(folder) as again, snapshot(again.engine) as session:
        assert prove(session, 0).index == 0
        check_log(session, again.keyring.log_verifiers(), again.anchor)


def test_the_claim_key_is_of_a_test_and_registered(folder: Path) -> None:
    with open_folder(folder) as opened:
        signer = load_claim_signer(opened, now=NOW)
        active = opened.keyring.active(Purpose.CLAIM, TENANT)
    assert active.material == claim_material(signer.chain[0])
    assert not {key.state for key in opened.keyring.keys} - {KeyState.ACTIVE}
    with pytest.raises(TestPki):
        refuse_test_pki(signer.chain)


def test_a_claim_key_that_is_not_the_active_one_signs_nothing(folder: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", now=NOW)
    for name in (CHAIN, KEY):
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with open_folder(folder) as opened, pytest.raises(NoFolder, match="not of the active claim"):
        load_claim_signer(opened, now=NOW)


def certify(folder: Path) -> None:
    """A real authority's certificates in place of the test's, its key registered and active."""
    root = make_root("A Real Authority", now=NOW)
    leaf = issue_leaf(root, "A Maker", now=NOW)
    plain = NoEncryption()
    private = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain)
    (folder / KEY).write_bytes(private)
    (folder / CHAIN).write_bytes(pem([leaf.certificate]))
    (folder / ROOT).write_bytes(pem([root.certificate]))
    material = claim_material(leaf.certificate)
    change(folder / KEYS, lambda r: rotate(r, Purpose.CLAIM, TENANT, now=NOW, material=material))


def test_production_is_declared_with_real_certificates_and_then_signs(folder: Path) -> None:
    certify(folder)
    with open_folder(folder) as opened:
        declared = declare_production(opened, now=NOW)
        first = declared.read_bytes()
    with open_folder(folder) as again:
        assert again.production
        assert find_test(load_claim_signer(again, now=NOW).chain) is None
        assert find_test(load_trust(again, now=NOW).anchors) is None
        assert declare_production(again, now=NOW + timedelta(days=1)).read_bytes() == first


@pytest.mark.parametrize("left", [(CHAIN, KEY, KEYS), (ROOT,), (CHAIN, KEY, KEYS, ROOT)])
def test_production_is_not_declared_over_a_test(folder: Path, left: tuple[str, ...]) -> None:
    before = {name: (folder / name).read_bytes() for name in left}
    certify(folder)
    for name, data in before.items():
        (folder / name).write_bytes(data)
    with open_folder(folder) as opened, pytest.raises(TestPki, match="is of a test"):
        declare_production(opened, now=NOW)
    assert not (folder / PRODUCTION).exists()


@pytest.mark.parametrize("made", ["file", "empty file", "dangling link", "folder"])
def test_in_production_a_test_signs_nothing_and_is_not_believed(folder: Path, made: str) -> None:
    declared = folder / PRODUCTION
    match made:
        case "file":
            declared.write_text("declared")
        case "empty file":
            declared.touch()
        case "dangling link":
            declared.symlink_to("nowhere")
        case "folder":
            declared.mkdir()
    with open_folder(folder) as opened:
        for load in (load_claim_signer, load_trust):
            with pytest.raises(TestPki, match="production forbids those of a test"):
                load(opened, now=NOW)


def test_keys_are_never_made_twice(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(NoFolder, match="holds keys already"):
        make(folder, now=NOW)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_empty_folder_is_filled_and_one_with_anything_in_it_is_left_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    make(tmp_path / "link", now=NOW)
    assert (tmp_path / "empty" / KEYS).exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("mine")
    for taken in (tmp_path / "full", tmp_path / "full" / "note"):
        with pytest.raises(NoFolder, match="not an empty folder; nothing was changed"):
            make(taken, now=NOW)
    with pytest.raises(NoFolder, match="cannot make"):
        make(tmp_path / "full" / "note" / "data", now=NOW)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["note"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BadStep, match="cannot make a log key"):
        make(tmp_path / "data", origin="no log's name", now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_two_folders_have_different_secrets_and_logs(tmp_path: Path) -> None:
    first, second = (make(tmp_path / name, now=NOW) for name in "ab")
    assert not {k.material for k in first.keys} & {k.material for k in second.keys}
    assert first.log_verifiers()[0].name != second.log_verifiers()[0].name


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoFolder, match="countermark init"):
        load_keys(tmp_path)
    with pytest.raises(NoFolder, match="countermark init"), open_folder(tmp_path):
        raise AssertionError("opened nothing")


@pytest.mark.parametrize("name", [DATABASE, ANCHOR])
def test_a_folder_without_a_part_is_not_opened(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(NoFolder, match=f"{name} is missing"), open_folder(folder):
        raise AssertionError("opened without a part")
    assert not (folder / name).exists()


def test_keys_that_others_may_read_are_not_opened(folder: Path) -> None:
    (folder / KEYS).chmod(0o644)
    with pytest.raises(ExposedKeyring), open_folder(folder):
        raise AssertionError("opened with exposed keys")


@pytest.mark.parametrize("data", [b"", b"not a database, but as long as a header " * 9])
def test_what_is_no_database_of_ours_is_named(folder: Path, data: bytes) -> None:
    (folder / DATABASE).write_bytes(data)
    with pytest.raises(NoFolder, match="cannot be read as a database"), open_folder(folder):
        raise AssertionError("opened a file that is no database")


def test_older_tables_are_brought_up_to_date_and_newer_ones_are_refused(folder: Path) -> None:
    engine = connect(f"sqlite:///{folder / DATABASE}")
    downgrade(engine, "base")
    engine.dispose()
    with open_folder(folder) as opened, transaction(opened.engine) as session:
        append(session, [Draft(picture("a"))])
    with closing(sqlite3.connect(folder / DATABASE)) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
        plain.commit()
    with pytest.raises(NoFolder, match="newer version"), open_folder(folder):
        raise AssertionError("opened tables of the future")


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    assert data_folder({"COUNTERMARK_DATA": str(tmp_path)}) == tmp_path
    assert data_folder({}).name == "countermark"


@needs_softhsm
def test_a_claim_key_in_a_token_signs_in_place_of_the_file(folder: Path, token: Token) -> None:
    place = token.place
    named = {"format": FORMAT, "library": place.library, "token": place.token, "key": place.key}
    (folder / CLAIM_TOKEN).write_text(json.dumps(named))
    (folder / CHAIN).write_bytes(pem([token.leaf.certificate]))
    material = claim_material(token.leaf.certificate)
    change(folder / KEYS, lambda r: rotate(r, Purpose.CLAIM, TENANT, now=NOW, material=material))
    now = datetime.now(UTC)
    with open_folder(folder) as opened:
        with pytest.raises(NoFolder, match="remove the one not to be used"):
            load_claim_signer(opened, now=now)
        (folder / KEY).unlink()
        with pytest.raises(NoFolder, match=CLAIM_PIN):
            load_claim_signer(opened, now=now)
        (folder / CLAIM_PIN).write_text(f"{place.pin}\n")
        (folder / CLAIM_PIN).chmod(0o640)
        with pytest.raises(NoFolder, match="others may read"):
            load_claim_signer(opened, now=now)
        (folder / CLAIM_PIN).chmod(0o600)
        signed = load_claim_signer(opened, now=now).sign(b"message")
    check_signature(token.leaf.key.public_key(), signed, b"message")
