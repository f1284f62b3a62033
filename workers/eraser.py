"""Puts policies to work: the prompt encoder, the checkers and the deltas, loaded when asked for.

Deltas lie in the data folder, each with a note about its digest that the installation's log key
signed: a delta that nobody here signed, or that was changed since, is not applied. What is on a
model's weights is set anew for every batch, so that one tenant's deltas are never another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from generators.catalog import Generator, find
from generators.checkers.catalog import CHECKERS
from generators.checkers.interface import Checker
from generators.erasing.delta import Applied, BadDelta, Delta, read_delta
from generators.raster import RasterModel
from generators.text import load_text
from provenance.files import read_file, write_file
from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.note import open_note, sign_note
from provenance.policies import Effective
from workers.erasing import CannotApply, Rules
from workers.folder import DataFolder
from workers.screening import Screen

DELTAS = "deltas"  # in the data folder
MOST_DELTAS = 5  # on one model: what a record has room to name
MAX_DELTA = 64_000_000  # bytes
_FORM = "countermark-delta/1"


def keep_delta(folder: DataFolder, data: bytes, *, name: str, model: str) -> Delta:
    """Sign a delta of a model and put it into the data folder; raises BadDelta."""
    delta = read_delta(data, name=name)
    base = find(model).transformer.digest
    if delta.base != base:
        raise BadDelta(
            f"{name} was trained on weights {delta.base.hex()[:16]}..., {model} has "
            f"{base.hex()[:16]}..."
        )
    note = sign_note(_says(delta), folder.keyring.log_signers())
    place = folder.path / DELTAS
    place.mkdir(mode=0o700, exist_ok=True)
    write_file(place / f"{delta.digest.hex()}.note", note)  # first: a delta without one is unsigned
    write_file(place / f"{delta.digest.hex()}.safetensors", data)
    return delta


def load_delta(folder: DataFolder, digest: str) -> Delta:
    """A delta of the data folder, once its signature and digest are found right; or BadDelta."""
    place = folder.path / DELTAS
    files = [place / f"{digest}{ending}" for ending in (".safetensors", ".note")]
    try:
        data, note = (read_file(file, MAX_DELTA) for file in files)
    except OSError as e:
        raise BadDelta(f"the delta {digest[:16]}... is not in {place}: {e.strerror}") from e
    if sha256(data).hexdigest() != digest:
        raise BadDelta(f"{files[0]} was altered: its SHA-256 is not what its name says")
    delta = read_delta(data, name=str(files[0]))
    try:
        said = open_note(note, folder.keyring.log_verifiers()).text
    except (Malformed, NotProven) as e:
        raise BadDelta(f"{files[1]} does not sign the delta: {e}") from e
    if said != _says(delta):
        raise BadDelta(f"{files[1]} signs another delta")
    return delta


def _says(delta: Delta) -> str:
    return f"{_FORM}\n{delta.digest.hex()}\n{delta.base.hex()}\n"


@dataclass
class Eraser:
    """What applying policies takes; each part is loaded once, and only if a policy asks for it."""

    folder: DataFolder
    checkers: Mapping[str, Callable[[], Checker]] = field(default_factory=lambda: CHECKERS)
    _loaded: dict[str, Checker] = field(default_factory=dict)
    _deltas: dict[str, Delta] = field(default_factory=dict)
    _applied: dict[str, Applied] = field(default_factory=dict)
    _screen: Screen | None = None

    def rules(self, policy: Effective, generator: Generator) -> Rules:
        """The policy, with its deltas on the generator's weights and no others.

        Raises CannotApply, CannotCheck and BadDelta; the weights are then without deltas.
        """
        if generator.spec.by_class:
            _check_seen(policy, generator.name)
        wanted = list(dict.fromkeys(one.delta for one in policy.concepts if one.delta))
        digests = self._apply(generator, wanted)
        rules = replace(self._rules(policy), deltas=digests)
        rules.check()
        return rules

    def check(self, policy: Effective) -> None:
        """Raise CannotApply, CannotCheck or BadDelta if no generator could be drawn by this."""
        for concept in policy.concepts:
            if concept.delta:
                load_delta(self.folder, concept.delta)
        self._rules(policy).check()

    def _rules(self, policy: Effective) -> Rules:
        for name in {one.checker for one in policy.concepts if one.checker}:
            if name not in self._loaded and name in self.checkers:
                self._loaded[name] = self.checkers[name]()
        if self._screen is None:
            self._screen = Screen(load_text)
        return Rules(policy, self._screen, dict(self._loaded))

    def _apply(self, generator: Generator, wanted: Sequence[str]) -> tuple[bytes, ...]:
        model = generator.model
        if not isinstance(model, RasterModel):
            if wanted:
                raise CannotApply(f"the model {generator.name} takes no deltas")
            return ()
        if generator.name not in self._applied:
            base = generator.spec.transformer.digest
            self._applied[generator.name] = Applied(model.transformer, base)
        applied = self._applied[generator.name]
        applied.remove()
        if len(wanted) > MOST_DELTAS:
            raise CannotApply(f"{len(wanted)} deltas are asked for, at most {MOST_DELTAS} fit")
        for digest in wanted:
            if digest not in self._deltas:
                self._deltas[digest] = load_delta(self.folder, digest)
        applied.apply([self._deltas[digest] for digest in wanted])
        return applied.digests


def _check_seen(policy: Effective, model: str) -> None:
    """Raise CannotApply unless every concept has a checker: a class's number says nothing of it."""
    for concept in policy.concepts:
        if not concept.checker:
            raise CannotApply(
                f"the model {model} is asked by classes, whose numbers no words can be found in: "
                f"concept {concept.name!r} needs a checker of pictures"
            )


def places(folder: DataFolder) -> list[Path]:
    """The deltas that are kept."""
    return sorted((folder.path / DELTAS).glob("*.safetensors"))
