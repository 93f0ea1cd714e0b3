"""The gate over a candidate snapshot: each outcome has a counterexample that breaks that one alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from checks.gate import candidate_gate
from pkgraph.acceptance.judgement import Judgement
from pkgraph.acceptance.pretrained import load_pretrained
from pkgraph.acceptance.verdicts import Policy
from pkgraph.snapshot import open_published
from tests.published import publish_shop
from tests.shop import accepted, products

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns of what it imports itself
    import great_expectations.expectations  # noqa: F401

JUDGEMENT = Judgement(load_pretrained(), Policy(threshold=0.3))
PRESENT = accepted().with_columns(classifier=pl.lit(JUDGEMENT.classifier.content_hash))
STRICT = Judgement(JUDGEMENT.classifier, Policy(threshold=0.99))
SERVED = frozenset(products()["sku"])


def broken(folder: Path, **changes: Any) -> dict[str, int]:
    given = {"accepted": PRESENT, "products": products(), "judgement": JUDGEMENT, "served": SERVED, **changes}
    publish_shop(folder)
    judge = candidate_gate(
        given["accepted"],
        given["products"],
        given["judgement"],
        served_skus=given["served"],
        max_sku_loss=0.1,
    )
    return dict(judge(open_published(folder)).broken)


BREAKING: dict[str, tuple[dict[str, Any], str]] = {
    "a statement nobody accepted": ({"accepted": PRESENT.tail(-1)}, "every_statement_was_accepted"),
    "a statement below the threshold": ({"judgement": STRICT}, "every_probability_reaches_its_threshold"),
    "a product the catalog has not": (
        {"products": products().tail(-1)},
        "the_products_are_those_of_the_catalog",
    ),
    "many products lost": (
        {"served": SERVED | {"x1", "x2", "x3"}},
        "at_most_10%_of_the_served_skus_are_lost",
    ),
}


def test_a_good_candidate_breaks_nothing(tmp_path: Path) -> None:
    assert broken(tmp_path) == {}


@pytest.mark.parametrize("name", BREAKING)
def test_a_candidate_that_breaks_a_rule_breaks_that_one_alone(name: str, tmp_path: Path) -> None:
    changes, rule = BREAKING[name]

    assert list(broken(tmp_path, **changes)) == [rule]
