"""A verdict lists every reason against; unknown is no; each rule has a counterexample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from pkgraph.acceptance import (
    ACCEPTED_RULES,
    REASONS,
    SCORED_RULES,
    Policy,
    accept,
    judge_accepted,
    judge_scored,
    load_pretrained,
    score_relations,
)
from pkgraph.acceptance.certificate import OTHERS, Beyond, Certificate, Part
from pkgraph.acceptance.classifier import HallucinationClassifier
from pkgraph.acceptance.member import Member, Signal, Witness
from pkgraph.evidence import gather_evidence
from pkgraph.labels import answer_keys
from pkgraph.tables import ACCEPTED_RELATIONS, CALIBRATION_PAIRS, LABELLED_RELATIONS, SCORED_RELATIONS
from tests.gate_data import GOOD, label, mapped, no_evidence, relation

LENIENT = Policy(threshold=0.5)


def certified_policy(
    beyond: Beyond | None, covered: dict[str, tuple[float | None, ...]] | None = None
) -> Policy:
    """A policy under a certificate with the threshold 0.8."""
    part = Part(0.05, 0.05, 0.8, 200, 4, 6, 500, 20, 0.9, beyond)
    certificate = Certificate({OTHERS: part}, 300, 900, "a test")
    return Policy(threshold=0.8, certificate=certificate, why_uncertified="", covered=covered or {})


SURE = HallucinationClassifier((Member(3.0, {}, {}, {GOOD: Witness(0.0, 0.0)}),), seed=0, n_labels=0)


def doubtful(signal: str) -> HallucinationClassifier:
    """Says no where the signal is missing."""
    member = Member(3.0, {signal: Signal(0.0, 1.0, 0.0, missing=-20.0)}, {}, {})
    return HallucinationClassifier((member,), seed=0, n_labels=0)


def scored(
    *rows: dict[str, object],
    policy: Policy = LENIENT,
    classifier: HallucinationClassifier = SURE,
    evidence: pl.DataFrame | None = None,
    labelled: pl.DataFrame | None = None,
) -> pl.DataFrame:
    frame = mapped(*rows)
    found = gather_evidence(frame, frame) if evidence is None else evidence
    return score_relations(frame, found, classifier, policy, labelled=labelled)


def reasons(*rows: dict[str, object], **more: Any) -> list[str]:
    return list(scored(*rows, **more)["reasons"][0])


def refusal(row: dict[str, object]) -> pl.DataFrame:
    return LABELLED_RELATIONS.conform(
        pl.DataFrame([label(row, holds=False)], schema=LABELLED_RELATIONS.schema)
    )


def test_what_nothing_speaks_against_is_accepted() -> None:
    found = scored(relation())

    assert found["reasons"].to_list() == [[]]
    assert found["is_accepted"].to_list() == [True]
    assert found["probability"][0] == pytest.approx(found["holds_probability"][0] * 0.9)
    assert accept(found).height == 1


BREAKING_REASONS: dict[str, dict[str, Any]] = {
    "missing_evidence": {"evidence": no_evidence()},
    "no_probability": {"evidence": no_evidence()},
    "unknown_model": {"row": {"model": "never-seen"}},
    "below_threshold": {"policy": Policy(threshold=0.99)},
    "no_certified_threshold": {"policy": certified_policy(beyond=None)},
    "mapping_unsure": {"row": {"match_score": 0.2}, "policy": Policy(threshold=0.1)},
    "source_is_target": {"row": {"target_kind_id": relation()["source_kind_id"]}},
    "reviewer_says_no": {"labelled": refusal(relation())},
}


def test_every_reason_has_a_case() -> None:
    assert BREAKING_REASONS.keys() == REASONS.keys()


@pytest.mark.parametrize("reason", sorted(BREAKING_REASONS))
def test_each_reason_refuses(reason: str) -> None:
    case = dict(BREAKING_REASONS[reason])
    row = relation(**case.pop("row", {}))

    found = reasons(row, **case)

    together = {"missing_evidence", "no_probability"}
    assert found == (sorted(together) if reason in together else [reason])
    assert accept(scored(row, **case)).is_empty()


def test_every_reason_is_listed_not_only_the_first() -> None:
    row = relation(match_score=0.1, target_kind_id=relation()["source_kind_id"])

    found = reasons(row, policy=Policy(threshold=0.99), labelled=refusal(row))

    assert found == ["below_threshold", "mapping_unsure", "source_is_target", "reviewer_says_no"]


def test_a_stated_confidence_or_a_match_that_is_unknown_is_no() -> None:
    for name in ("stated_confidence", "match_score"):
        frame = mapped(relation())
        evidence = gather_evidence(frame, frame).with_columns(pl.lit(None, pl.Float64).alias(name))

        assert "missing_evidence" in reasons(relation(), evidence=evidence)


class Silent(HallucinationClassifier):
    """Gives no number."""

    def probabilities(self, statements: pl.DataFrame) -> NDArray[np.float64]:
        return np.full(statements.height, math.nan)


def test_a_probability_that_is_no_number_is_no() -> None:
    found = scored(relation(), classifier=Silent(SURE.members, seed=0, n_labels=0))

    assert found["reasons"].to_list() == [["no_probability"]]
    assert found["holds_probability"].to_list() == [None]


def test_the_kinds_of_a_statement_share_its_probability_and_differ_by_their_match() -> None:
    one = relation()
    other = one | {"target_kind_id": "other", "match_score": 0.6, "n_targets": 2}

    found = scored(one, other)

    assert found["holds_probability"].n_unique() == 1
    assert found["probability"].n_unique() == 2


def test_a_missing_signal_speaks_as_missing_never_as_zero() -> None:
    assert reasons(relation(), classifier=doubtful("lift_low_log")) == ["below_threshold"]
    assert reasons(relation(), classifier=doubtful("stated_confidence")) == []


def test_a_kind_that_a_reviewer_of_the_sample_found_unfit_is_refused_alone() -> None:
    one, other = relation(), relation() | {"target_kind_id": "other", "n_targets": 2}
    verdict = {"draw": 0, "holds": True, "fit": 0, "is_right": False, "n_labels": 1, "is_conflicting": False}
    key = {name: one[name] for name in ("relation_id", "target_kind_id")}
    sample = pl.DataFrame([{**key, **verdict, "reason": None}], schema=CALIBRATION_PAIRS.schema)

    def refused(calibration: pl.DataFrame) -> list[list[str]]:
        frame = mapped(one, other)
        found = score_relations(frame, gather_evidence(frame, frame), SURE, LENIENT, calibration=calibration)
        return found.sort(pl.col("target_kind_id") == "other")["reasons"].to_list()

    assert refused(sample) == [["reviewer_says_no"], []]
    assert refused(sample.with_columns(holds=pl.lit(value=False))) == [["reviewer_says_no"]] * 2


def test_pairs_of_the_frame_keep_the_score_they_were_certified_with_until_the_answer_changes() -> None:
    one, other = relation("tea", "sugar"), relation("tea", "milk", 1)
    answer = answer_keys(mapped(one, other))["answer"].item()
    policy = certified_policy(Beyond(0.99, 100, 0, 1.0, 0.03), {answer: (0.81, 0.5)})

    same = scored(one, other, policy=policy)
    changed = scored(one, other | {"product": "oat milk"}, policy=policy)

    assert same.sort("position")["probability"].to_list() == [0.81, 0.5]
    assert same.sort("position")["reasons"].to_list() == [[], ["below_threshold"]]
    assert same["is_covered"].all()
    assert judge_scored(same, policy).is_open
    assert not changed["is_covered"].any()
    assert changed["reasons"].to_list() == [["below_threshold"]] * 2


def test_the_same_text_under_a_new_attempt_is_the_same_answer() -> None:
    one = relation("tea", "sugar")
    again = one | {"response_id": "another", "relation_id": "another-0"}

    assert answer_keys(mapped(one))["answer"].item() == answer_keys(mapped(again))["answer"].item()


def test_the_pretrained_classifier_scores_any_model() -> None:
    found = scored(relation(model="any"), classifier=load_pretrained())

    assert "unknown_model" not in found["reasons"][0]


def test_an_empty_category_is_scored_and_accepted_empty_and_keeps_its_gate_shut() -> None:
    empty = scored(relation()).clear()

    assert scored_empty().is_empty()
    assert accept(empty).is_empty()
    assert not judge_scored(empty, LENIENT).is_open


def scored_empty() -> pl.DataFrame:
    frame = mapped()
    return score_relations(frame, gather_evidence(frame, frame), SURE, LENIENT)


def good() -> pl.DataFrame:
    refused = relation("milk", "honey", match_score=0.2)
    return scored(relation("tea", "sugar"), relation("coffee", "milk"), refused)


def change(**columns: object) -> pl.DataFrame:
    """The good table with columns changed in the accepted row of one statement."""
    frame = good()
    mine = pl.col("source_kind") == "tea"
    values = [
        pl.when(mine)
        .then(pl.lit(value, SCORED_RELATIONS.columns[name].dtype))
        .otherwise(pl.col(name))
        .alias(name)
        for name, value in columns.items()
    ]
    return frame.with_columns(values)


def second_target() -> pl.DataFrame:
    frame = good()
    row = frame.filter(source_kind="tea").with_columns(
        target_kind_id=pl.lit("x"), holds_probability=pl.lit(0.6)
    )
    return pl.concat([frame, row])


BREAKING_SCORED: dict[str, Callable[[], pl.DataFrame]] = {
    "probabilities_are_shares": lambda: change(probability=math.nan),
    "an_accepted_relation_has_no_reason_against_it": lambda: change(reasons=["mapping_unsure"]),
    "every_refusal_has_a_reason": lambda: change(is_accepted=False),
    "every_reason_is_a_known_one": lambda: change(is_accepted=False, reasons=["bad mood"]),
    "the_unknown_is_refused": lambda: change(probability=None),
    "what_is_accepted_reaches_the_threshold": lambda: change(probability=0.1),
    "what_is_covered_stands_as_it_was_certified": lambda: change(is_covered=True),
    "no_accepted_relation_names_its_source": lambda: change(target_kind_id=relation("tea")["source_kind_id"]),
    "a_statement_has_one_probability": second_target,
    "a_relation_is_scored_once": lambda: pl.concat([good(), good().filter(source_kind="tea")]),
}


def test_good_tables_break_no_rule() -> None:
    frame = good()

    assert judge_scored(frame, LENIENT).is_open
    assert judge_accepted(accept(frame), frame).is_open


def test_every_rule_has_a_counterexample() -> None:
    assert BREAKING_SCORED.keys() == SCORED_RULES.keys()
    assert BREAKING_ACCEPTED.keys() == ACCEPTED_RULES.keys()


@pytest.mark.parametrize("rule", sorted(BREAKING_SCORED))
def test_scored_relations_that_break_a_rule_break_that_rule_alone(rule: str) -> None:
    report = judge_scored(BREAKING_SCORED[rule](), LENIENT)

    assert report.broken == {rule: 1}
    assert not report.is_open


def accepted_with(**columns: object) -> pl.DataFrame:
    values = [pl.lit(v, ACCEPTED_RELATIONS.columns[name].dtype).alias(name) for name, v in columns.items()]
    return accept(good()).with_columns(values)


def smuggled() -> pl.DataFrame:
    refused = good().filter(~pl.col("is_accepted"))
    return pl.concat([accept(good()), ACCEPTED_RELATIONS.conform(refused)])


BREAKING_ACCEPTED: dict[str, Callable[[], pl.DataFrame]] = {
    "what_is_accepted_was_scored_and_passed": smuggled,
    "what_passed_is_accepted": lambda: accept(good()).head(1),
    "a_probability_stays_as_it_was_scored": lambda: pl.concat(
        [accept(good()).head(1).with_columns(probability=pl.lit(1.0)), accept(good()).tail(1)]
    ),
    "a_relation_is_accepted_once": lambda: pl.concat([accept(good()), accept(good()).head(1)]),
}


@pytest.mark.parametrize("rule", sorted(BREAKING_ACCEPTED))
def test_accepted_relations_that_break_a_rule_break_that_rule_alone(rule: str) -> None:
    assert judge_accepted(BREAKING_ACCEPTED[rule](), good()).broken == {rule: 1}
