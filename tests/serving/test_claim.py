"""What a snapshot promises, read by people."""

from __future__ import annotations

from typing import Any

import pytest

from pkgraph.snapshot import Manifest, claim_of
from pkgraph.snapshot.format import Intake

CERTIFICATE = {"bound": 0.0476, "delta": 0.05, "n": 977, "errors": 43, "n_beyond": 0}


def manifest(**inputs: Any) -> Manifest:
    return Manifest("0123456789ab", {}, {}, Intake(0, {}, 0), inputs)


def test_a_certificate_says_how_many_are_wrong_at_most_and_how_sure_that_is() -> None:
    said = claim_of(manifest(certificate=CERTIFICATE))
    assert said.startswith("at most 4.76% of the published relations are wrong")
    assert "confidence 95%" in said
    assert "977 random pairs judged, 43 wrong" in said
    assert "newer" not in said
    assert claim_of(manifest(certificate=CERTIFICATE | {"n_beyond": 7})).endswith(
        "; 7 newer ones under drift test and audits"
    )


def test_without_one_nothing_is_promised_and_the_reason_is_told() -> None:
    assert claim_of(manifest(certificate=None)) == "nothing is promised; published uncertified"
    said = claim_of(manifest(certificate=CERTIFICATE, override="a trial of July"))
    assert said == "nothing is promised; published all the same, because: a trial of July"


@pytest.mark.parametrize(
    "strange", [{"level": 3}, CERTIFICATE | {"bound": "low"}, CERTIFICATE | {"delta": None}]
)
def test_a_certificate_of_another_make_is_not_put_into_words(strange: dict[str, Any]) -> None:
    assert "not one that this version can read" in claim_of(manifest(certificate=strange))
