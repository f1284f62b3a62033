"""A certificate regenerates bit for bit, and says what was measured and by whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from generators.catalog import Generator
from generators.checkers.interface import Picture
from generators.raster import RasterConfig, RasterModel, RasterTransformer
from generators.text import load_text
from provenance.policies import EVERY, Concept, Effective, Version
from tests.workers.toys import generator
from workers.certifying import (
    CannotCertify,
    certify,
    find_certificates,
    format_certificate,
    keep_certificate,
)
from workers.erasing import Rules
from workers.screening import Screen

SMALL = RasterConfig(codes=64, side=4, dim=64, layers=1, heads=2, hidden=96)
GUN = Concept("gun", ("a gun",), checker="toy", labels=("bright",))


class Bright:
    """Sees the concept in bright pictures."""

    name, digest, labels = "toy", b"c" * 32, ("bright",)

    def scores(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        return np.array([[one.mean() / 64] for one in pictures], np.float32)


def small(folder: Path) -> Generator:
    torch.manual_seed(0)
    model = RasterModel(RasterTransformer(SMALL), load_text())
    return replace(generator(folder)[0], name="small", model=model)


def rules(concept: Concept = GUN, deltas: tuple[bytes, ...] = ()) -> Rules:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    policy = Effective((Version(EVERY, EVERY, 1, (concept,), 3, b"d" * 32, "me", made),))
    return Rules(policy, Screen(load_text), {"toy": Bright()}, deltas)


def test_a_certificate_regenerates_bit_for_bit(tmp_path: Path) -> None:
    one = small(tmp_path)
    assert isinstance(one.model, RasterModel)
    given = rules(deltas=(b"\x01" * 32,))
    made = [
        format_certificate(certify(one, GUN, given, seed=3, base=deepcopy(one.model.transformer)))
        for _ in range(2)
    ]
    assert made[0] == made[1]
    said = json.loads(made[0])
    assert (said["concept"], said["model"], said["deltas"]) == ("gun", "small", ["01" * 32])
    assert set(said["series"]) == {
        "as the policy has it",
        "weights alone",
        "other things, as the policy has it",
        "unerased",
        "after a fine-tune of 10 steps",
        "after textual inversion",
    }
    assert said["series"]["weights alone"] == said["series"]["unerased"], "they are the same here"
    tuned = said["series"]["after a fine-tune of 10 steps"]
    assert tuned["scores"] != said["series"]["unerased"]["scores"]
    curve = tuned["share over threshold"]
    assert curve == sorted(curve, reverse=True)
    other = format_certificate(certify(one, GUN, given, seed=4))
    assert other != made[0]


def test_a_certificate_is_kept_under_its_digest_and_found(tmp_path: Path) -> None:
    made = certify(small(tmp_path), GUN, rules())
    digest = keep_certificate(tmp_path, made)
    data = (tmp_path / "certificates" / f"{digest}.json").read_bytes()
    assert sha256(data).hexdigest() == digest
    assert find_certificates(tmp_path, model="small", names=["gun", "bomb"]) == {"gun": digest}
    assert find_certificates(tmp_path, model="other", names=["gun"]) == {}


def test_without_a_checker_or_a_model_of_weights_nothing_is_certified(tmp_path: Path) -> None:
    bare = Concept("gun", ("a gun",))
    with pytest.raises(CannotCertify, match="has no checker"):
        certify(small(tmp_path), bare, rules(bare))
    with pytest.raises(CannotCertify, match="the model toy"):
        certify(generator(tmp_path)[0], GUN, rules())
