"""The rules of scored and accepted relations: the checks, the publisher and the tests walk the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from pkgraph.acceptance.verdicts import REASONS, Policy, with_certified
from pkgraph.model import GateReport


@dataclass(frozen=True, slots=True)
class Candidates:
    """Scored relations and the policy they were scored under."""

    scored: pl.DataFrame
    policy: Policy


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Accepted relations and what they were accepted from."""

    accepted: pl.DataFrame
    scored: pl.DataFrame


_KEY = ["relation_id", "target_kind_id"]
_SHARES = ("holds_probability", "probability", "match_score")


def _is_no_share(name: str) -> pl.Expr:
    value = pl.col(name)
    return value.is_not_null() & ~(value.is_finite() & value.is_between(0, 1))


def _no_shares(frame: pl.DataFrame, names: tuple[str, ...]) -> int:
    return frame.filter(pl.any_horizontal(_is_no_share(name) for name in names)).height


def _accepted_against_a_reason(c: Candidates) -> int:
    return c.scored.filter(pl.col("is_accepted") & (pl.col("reasons").list.len().fill_null(0) > 0)).height


def _refused_without_a_reason(c: Candidates) -> int:
    return c.scored.filter(~pl.col("is_accepted") & (pl.col("reasons").list.len().fill_null(0) == 0)).height


def _accepted_unknown(c: Candidates) -> int:
    is_unknown = pl.col("holds_probability").is_null() | pl.col("probability").is_null()
    return c.scored.filter(pl.col("is_accepted") & is_unknown).height


def _accepted_below(c: Candidates) -> int:
    value, least = pl.col("probability"), pl.col("least")
    is_below = (value.is_finite() & (value < least)) | least.is_null()
    return c.policy.with_least(c.scored.filter("is_accepted")).filter(is_below).height


def _covered_by_mistake(c: Candidates) -> int:
    found = with_certified(c.scored.drop("is_covered"), c.policy.covered)
    is_other = pl.col("probability").ne_missing(pl.col("certified")) | ~pl.col("is_covered")
    claimed = found.with_columns(claimed=c.scored["is_covered"]).filter("claimed")
    return claimed.filter(is_other).height


def _accepted_loops(c: Candidates) -> int:
    is_loop = (pl.col("source_kind_id") == pl.col("target_kind_id")).fill_null(value=False)
    return c.scored.filter(pl.col("is_accepted") & is_loop).height


def _unknown_reasons(c: Candidates) -> int:
    return c.scored.filter(~pl.col("reasons").list.eval(pl.element().is_in(list(REASONS))).list.all()).height


def _split_statements(c: Candidates) -> int:
    counted = c.scored.group_by("relation_id").agg(n=pl.col("holds_probability").n_unique())
    return counted.filter(pl.col("n") > 1).height


def _twice(frame: pl.DataFrame) -> int:
    return frame.height - frame.select(_KEY).n_unique()


SCORED_RULES: dict[str, tuple[str, Callable[[Candidates], int]]] = {
    "probabilities_are_shares": ("Each probability is from 0 to 1.", lambda c: _no_shares(c.scored, _SHARES)),
    "an_accepted_relation_has_no_reason_against_it": (
        "Nothing speaks against what is accepted.",
        _accepted_against_a_reason,
    ),
    "every_refusal_has_a_reason": ("What is refused has a reason.", _refused_without_a_reason),
    "every_reason_is_a_known_one": ("Reasons are those of the policy.", _unknown_reasons),
    "the_unknown_is_refused": ("What has no probability is refused.", _accepted_unknown),
    "what_is_accepted_reaches_the_threshold": ("Acceptance needs the threshold.", _accepted_below),
    "what_is_covered_stands_as_it_was_certified": (
        "Pairs and scores of an answer are the certified ones.",
        _covered_by_mistake,
    ),
    "no_accepted_relation_names_its_source": ("Acceptance needs another kind.", _accepted_loops),
    "a_statement_has_one_probability": ("All targets of a statement share it.", _split_statements),
    "a_relation_is_scored_once": ("Relation and target occur once.", lambda c: _twice(c.scored)),
}
"""Name to what holds and how many offenders there are."""


def _not_from_the_scored(a: Acceptance) -> int:
    passed = a.scored.filter(pl.col("is_accepted") & (pl.col("reasons").list.len() == 0))
    return a.accepted.join(passed, on=_KEY, how="anti").height


def _lost(a: Acceptance) -> int:
    return a.scored.filter("is_accepted").join(a.accepted, on=_KEY, how="anti").height


def _changed(a: Acceptance) -> int:
    both = a.accepted.join(a.scored.select(*_KEY, scored="probability"), on=_KEY)
    return both.filter(
        pl.col("scored").is_not_null() & pl.col("probability").ne_missing(pl.col("scored"))
    ).height


ACCEPTED_RULES: dict[str, tuple[str, Callable[[Acceptance], int]]] = {
    "what_is_accepted_was_scored_and_passed": ("Only what passed is accepted.", _not_from_the_scored),
    "what_passed_is_accepted": ("Nothing is lost between the two.", _lost),
    "a_probability_stays_as_it_was_scored": ("Accepting changes no probability.", _changed),
    "a_relation_is_accepted_once": ("Relation and target occur once.", lambda a: _twice(a.accepted)),
}
"""Name to what holds and how many offenders there are."""


_Judged = TypeVar("_Judged")


def _report(
    rules: Mapping[str, tuple[str, Callable[[_Judged], int]]], judged: _Judged, n_rows: int
) -> GateReport:
    counts = {name: count(judged) for name, (_, count) in rules.items()}
    return GateReport(dict.fromkeys(rules, n_rows), {name: n for name, n in counts.items() if n})


def judge_scored(scored: pl.DataFrame, policy: Policy) -> GateReport:
    """The rules over `scored_relations`; an empty table is evaluated over no rows and keeps the gate shut."""
    return _report(SCORED_RULES, Candidates(scored, policy), scored.height)


def judge_accepted(accepted: pl.DataFrame, scored: pl.DataFrame) -> GateReport:
    """The rules over `accepted_relations`; a category of which nothing passed is looked at all the same."""
    return _report(ACCEPTED_RULES, Acceptance(accepted, scored), max(accepted.height, scored.height))
