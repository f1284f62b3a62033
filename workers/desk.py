"""What checking uploads needs: an installation, and a confined child that knows every model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event

from provenance import pki
from provenance.blobs import Store
from provenance.counts import Tally
from provenance.fingerprint import FingerprintIndex
from provenance.jobs import LEASE
from provenance.keys import KeyState, Purpose
from provenance.outbound import Outbound
from workers.brought import install_models, version_of
from workers.fetching import public
from workers.folder import DataFolder
from workers.marking import Marker, load_marker
from workers.sandbox import Sandbox
from workers.station import Station

WALL_SECONDS = 600.0  # for one question; its processor time is limited more tightly


@dataclass
class Desk:
    """What checking needs: an installation, a child to read with, and the fingerprints so far."""

    folder: DataFolder
    blobs: Store
    sandbox: Sandbox
    index: FingerprintIndex
    stop: Event
    lease: timedelta = LEASE
    tally: Tally = field(default_factory=Tally)
    outbound: Outbound | None = None  # None: nothing is fetched
    limit: int = 0  # bytes of what is fetched
    loaded: dict[str, Marker] = field(default_factory=dict)
    models: object = None  # the version of those that were brought, as the child knows them

    def marker(self, name: str) -> Marker:
        """The marks of a generator, in memory from now on."""
        if name not in self.loaded:
            install_models(self.folder.path)
            self.loaded[name] = load_marker(name)
        return self.loaded[name]

    def start(self) -> None:
        """A child that is ready and knows every model; raises Died."""
        newest = version_of(self.folder.path)
        if newest != self.models:
            self.sandbox.close()
        self.models = newest
        self.sandbox.start()


def open_desk(station: Station) -> Desk:
    """A desk whose child is not started yet."""
    folder = station.folder
    keys = folder.keyring
    lost = [k for k in keys.keys if (k.purpose, k.state) == (Purpose.CLAIM, KeyState.COMPROMISED)]
    greeting = {
        "data": str(folder.path),
        "anchors": (folder.path / pki.ROOT).read_text(encoding="ascii"),
        "ours": [key.material.hex() for key in keys.checking(Purpose.CLAIM)],
        "lost": [key.material.hex() for key in lost],
    }
    sandbox = Sandbox(station.reader, greeting, seconds=WALL_SECONDS)
    return Desk(
        folder=folder,
        blobs=station.blobs,
        sandbox=sandbox,
        index=FingerprintIndex(),
        stop=station.stop,
        lease=station.lease,
        tally=station.tally,
        outbound=public() if station.settings.fetch else None,
        limit=station.settings.upload_bytes,
    )
