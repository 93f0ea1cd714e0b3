"""Classifier and policy are one document, and nothing but what was certified comes out of it."""

from __future__ import annotations

import json

import pytest

from pkgraph.acceptance import Certificate, Policy, load_pretrained
from pkgraph.acceptance.certificate import OTHERS, Beyond, Part
from pkgraph.acceptance.judgement import Judgement
from pkgraph.errors import InputError

PART = Part(
    alpha=0.05,
    delta=0.05,
    threshold=0.8,
    n=200,
    errors=4,
    n_refused=6,
    n_published=500,
    most_wrong=20,
    kept_share=0.9,
    beyond=Beyond(threshold=0.9, n=150, errors=1, effect=1.2, bound=0.04),
)
CERTIFICATE = Certificate({OTHERS: PART}, 300, 900, "a test", fingerprints={"mapping": "m1"})
COVERED = {"answer-1": (0.9, None, 0.7)}


def judgement() -> Judgement:
    policy = Policy(threshold=0.8, certificate=CERTIFICATE, why_uncertified="", covered=COVERED)
    return Judgement(load_pretrained(), policy)


def test_a_judgement_comes_back_as_it_was_written() -> None:
    again = Judgement.from_json(judgement().to_json())

    assert again == judgement()
    assert again.fingerprint == judgement().fingerprint


def test_a_threshold_that_was_not_certified_is_refused() -> None:
    document = json.loads(judgement().to_json())
    document["policy"]["threshold"] = 0.1

    with pytest.raises(InputError, match="not the one that was certified"):
        Judgement.from_json(json.dumps(document))


@pytest.mark.parametrize("scores", [[1.5], [-0.1], ["0.9"], "0.9", [True]])
def test_certified_scores_that_are_no_shares_are_refused(scores: object) -> None:
    document = json.loads(judgement().to_json())
    document["policy"]["covered"] = {"answer-1": scores}

    with pytest.raises(InputError, match="judgement cannot be read"):
        Judgement.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"classifier": {}, "policy": {}}', "null"])
def test_what_is_no_judgement_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Judgement.from_json(text)

    assert caught.value.exit_code == 2


def test_another_policy_is_another_fingerprint() -> None:
    strict = Judgement(load_pretrained(), Policy(threshold=0.95))

    assert strict.fingerprint != judgement().fingerprint
