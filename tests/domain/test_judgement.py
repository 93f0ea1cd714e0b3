"""Classifier and policy are one document, and nothing but what was certified comes out of it."""

from __future__ import annotations

import json

import pytest

from pkgraph.acceptance import Certificate, Policy, load_pretrained
from pkgraph.acceptance.judgement import Judgement
from pkgraph.errors import InputError

CERTIFICATE = Certificate(
    alpha=0.05,
    delta=0.05,
    threshold=0.8,
    n=200,
    errors=4,
    bound=0.04,
    unreviewed_bound=0.06,
    most_wrong=20,
    n_published=500,
    label_source="a test",
    fingerprints={"mapping": "m1"},
)


def judgement() -> Judgement:
    return Judgement(load_pretrained(), Policy(threshold=0.8, certificate=CERTIFICATE, why_uncertified=""))


def test_a_judgement_comes_back_as_it_was_written() -> None:
    again = Judgement.from_json(judgement().to_json())

    assert again == judgement()
    assert again.fingerprint == judgement().fingerprint


def test_a_threshold_that_was_not_certified_is_refused() -> None:
    document = json.loads(judgement().to_json())
    document["policy"]["threshold"] = 0.1

    with pytest.raises(InputError, match="not the one that was certified"):
        Judgement.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"classifier": {}, "policy": {}}', "null"])
def test_what_is_no_judgement_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Judgement.from_json(text)

    assert caught.value.exit_code == 2


def test_another_policy_is_another_fingerprint() -> None:
    strict = Judgement(load_pretrained(), Policy(threshold=0.95))

    assert strict.fingerprint != judgement().fingerprint
