"""What drawing needs in memory: an installation, and all generators, also those brought to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Lock

import torch

from generators.catalog import (
    DAMAGED,
    EMBEDDED,
    GENERATORS,
    BadWeights,
    Generator,
    find,
    load_generator,
)
from generators.devices import NoDevice, find_device
from generators.llamagen import LlamaGenModel
from generators.stepping import CannotStep, Stepping
from provenance.blobs import Store
from provenance.counts import Tally
from provenance.database import snapshot
from provenance.jobs import LEASE
from provenance.manifest.read import Trust
from provenance.models import Model
from provenance.policies import effective
from provenance.settings import BadSetting
from workers import marking
from workers.brought import install_models, version_of
from workers.eraser import Eraser
from workers.erasing import Rules
from workers.folder import DataFolder, load_trust
from workers.station import Station

_log = logging.getLogger(__name__)

Load = Callable[[str], Generator]


@dataclass
class Studio:
    """What drawing needs: an installation, and its generators once they are loaded."""

    folder: DataFolder
    blobs: Store
    load: Load = load_generator
    lease: timedelta = LEASE
    stop: Event = field(default_factory=Event)
    tally: Tally = field(default_factory=Tally)
    trust: Trust | None = None
    loaded: dict[str, Generator] = field(default_factory=dict)
    eraser: Eraser | None = None
    models: object = None  # the version of those that were brought, as they were looked at last
    _lock: Lock = field(default_factory=Lock)

    def generator(self, name: str) -> Generator:
        """The generator of a name, in memory from now on."""
        with self._lock:
            if name not in self.loaded:
                install_models(self.folder.path)
                self.loaded[name] = self.load(name)
            return self.loaded[name]

    def take_in(self) -> None:
        """Every generator of the catalog into memory, with those that were brought meanwhile.

        One that was brought and cannot be loaded is left out, and the log says why; raises
        BadWeights for one that comes with this package.
        """
        newest = version_of(self.folder.path)
        if newest == self.models:
            return
        install_models(self.folder.path)
        for name in sorted({*GENERATORS, *DAMAGED}):
            try:
                find(name)
                self.generator(name)
            except BadWeights as e:
                if name in EMBEDDED:
                    raise
                _log.warning("the model %s is not drawn with: %s", name, e)
        self.models = newest

    def rules(self, tenant: str, generator: Generator) -> Rules:
        """What policies say now for a tenant's pictures, applied to the generator's weights.

        Raises BadPolicy, BadDelta and CannotApply.
        """
        if self.eraser is None:
            self.eraser = Eraser(self.folder)
        with snapshot(self.folder.engine) as session:
            policy = effective(session, tenant, generator.name)
        return self.eraser.rules(policy, generator)

    def signers(self) -> Trust:
        """The authority that verifying trusts; another one needs another worker."""
        if self.trust is None:
            self.trust = load_trust(self.folder, now=datetime.now(UTC))
        return self.trust


def open_studio(station: Station) -> Studio:
    """A studio with every generator in memory, on the device of the settings; raises BadSetting."""
    try:
        device = find_device(station.settings.device)
    except NoDevice as e:
        raise BadSetting(f"COUNTERMARK_DEVICE: {e}") from e
    stepping = Stepping(station.settings.steps)
    if stepping is Stepping.GRAPHS and device.type != "cuda":
        raise BadSetting("COUNTERMARK_STEPS: graphs need COUNTERMARK_DEVICE=cuda")
    studio = Studio(
        station.folder,
        station.blobs,
        load=partial(load_on, device=device, stepping=stepping),
        stop=station.stop,
        lease=station.lease,
        tally=station.tally,
    )
    studio.take_in()
    return studio


def load_on(name: str, *, device: torch.device, stepping: Stepping) -> Generator:
    """A generator on a device, its steps taken so; those that are not LlamaGen's are plain always.

    Raises BadWeights, also if this model's steps cannot be taken so.
    """
    generator = load_generator(name, device=device)
    if isinstance(generator.model, LlamaGenModel):
        try:
            generator.model.use(stepping)
        except CannotStep as e:
            raise BadWeights(
                f"{name} cannot be drawn with COUNTERMARK_STEPS={stepping}: {e}"
            ) from e
    return generator


def announced(studio: Studio) -> list[Model]:
    """The generators in memory, as the table of models has them."""
    studio.take_in()
    return [
        Model(
            name=one.name,
            draws=one.spec.draws,
            side=one.spec.side,
            licence=one.spec.licence,
            weights=one.spec.transformer.digest.hex(),
            marks=tuple(marking.Kind),
            uploads=one.spec.uploads,
        )
        for one in list(studio.loaded.values())
    ]
