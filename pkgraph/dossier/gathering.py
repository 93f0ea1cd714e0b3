"""A relation's dossier out of a home: its tables, ledger, judgement, labels and snapshots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from pkgraph.acceptance.classifier import HallucinationClassifier
from pkgraph.acceptance.judgement import Judgement
from pkgraph.acceptance.statements import statements_of
from pkgraph.acceptance.verdicts import REASONS
from pkgraph.dossier.labels import label_history
from pkgraph.dossier.published import published_in
from pkgraph.errors import InputError
from pkgraph.llm import Ledger
from pkgraph.llm.place import has_ledger, ledger_place
from pkgraph.mapping import KindIndex, match_phrases
from pkgraph.stored import read_table
from pkgraph.tables import (
    JUDGE_RESPONSES,
    JUDGE_VERDICTS,
    LLM_RESPONSES,
    MAPPED_RELATIONS,
    PROMPTS,
    RELATION_EVIDENCE,
    RELATIONS,
    SCORED_RELATIONS,
    UNMAPPED_PRODUCTS,
)

if TYPE_CHECKING:
    from pkgraph.home import Home

Record = dict[str, Any]

_ANSWER = (
    "response_id", "model", "parameters", "sample", "attempt", "status", "text", "finish_reason",
    "input_tokens", "output_tokens", "cost_usd", "latency_s", "asked_at",
)  # fmt: skip
N_CANDIDATES = 8


def dossier_of(home: Home, relation_id: str) -> Record:
    """Everything known of a relation, as plain values.

    Keys: relation_id, relation, prompt, answer, judge, candidates, unmapped, targets, parts, policy, labels,
    snapshots. One that is not known is None or empty.

    Raises:
        InputError: Nothing is known of it.
    """
    is_it = pl.col("relation_id") == relation_id
    relation = _first(read_table(home, RELATIONS, is_it))
    answer = _answer(home, relation_id.rpartition("-")[0])
    snapshots = published_in(home.graph, relation_id)
    if relation is None and not snapshots:
        raise InputError(
            f"Nothing is known of the relation {relation_id}.",
            remedy="`pkgraph recommend SKU --json` and `pkgraph labels queue` name relations.",
        )
    mapped = read_table(home, MAPPED_RELATIONS, is_it)
    evidence = read_table(home, RELATION_EVIDENCE, is_it)
    judgement = _judgement(home)
    prompt_id = (relation or answer or {}).get("prompt_id")
    return {
        "relation_id": relation_id,
        "relation": relation,
        "prompt": _prompt(home, prompt_id) if prompt_id else None,
        "answer": answer,
        "judge": _judge(home, is_it),
        "candidates": _candidates(home, relation, mapped),
        "unmapped": _unmapped(home, is_it),
        "targets": _targets(read_table(home, SCORED_RELATIONS, is_it), mapped, evidence),
        "parts": _parts(judgement, relation_id, mapped, evidence),
        "policy": _policy(judgement),
        "labels": label_history(home, relation, mapped),
        "snapshots": snapshots,
    }


def _first(frame: pl.DataFrame) -> Record | None:
    return frame.row(0, named=True) if frame.height else None


def _prompt(home: Home, prompt_id: str) -> Record | None:
    row = _first(read_table(home, PROMPTS, pl.col("prompt_id") == prompt_id))
    text = row["messages"] if row else None
    if text is None and has_ledger(home):
        with Ledger.open(ledger_place(home)) as ledger:
            text = ledger.messages(prompt_id)
    if text is None:
        return None
    return {
        "prompt_id": prompt_id,
        "template": row["template"] if row else None,
        "messages": json.loads(text),
    }


def _answer(home: Home, response_id: str) -> Record | None:
    """The answer as the ledger has it, or as the pipeline last read it."""
    if has_ledger(home):
        with Ledger.open(ledger_place(home)) as ledger:
            stored = ledger.answer(response_id)
        if stored is not None:
            said = stored.response
            known = {name: getattr(said, name) for name in _ANSWER if hasattr(said, name)}
            more = {"prompt_id": stored.key.prompt_id, "attempt": stored.attempt, "asked_at": stored.asked_at}
            return {**stored.key._asdict(), **known, **more, "response_id": response_id}
    row = _first(read_table(home, LLM_RESPONSES, pl.col("response_id") == response_id))
    return {name: row.get(name) for name in (*_ANSWER, "prompt_id")} if row else None


def _judge(home: Home, is_it: pl.Expr) -> Record | None:
    """What another model that was asked to judge says, with its whole answer."""
    said = _first(read_table(home, JUDGE_VERDICTS, is_it))
    if said is None:
        return None
    answer = _first(read_table(home, JUDGE_RESPONSES, pl.col("response_id") == said["response_id"]))
    names = ("model", "holds", "prompt_id", "response_id")
    return {name: said[name] for name in names} | {"text": answer["text"] if answer else None}


def _candidates(home: Home, relation: Record | None, mapped: pl.DataFrame) -> list[Record]:
    """The kinds nearest to the phrase in the index of today, and whether it was resolved to them."""
    path = home.models / "kind_index.json"
    if relation is None or not path.exists():
        return []
    found = match_phrases([relation["product"]], KindIndex.load(path)).head(N_CANDIDATES)
    chosen = pl.col("kind_id").is_in(mapped["target_kind_id"].implode())
    return found.drop("phrase", "rank").with_columns(is_target=chosen).to_dicts()


def _unmapped(home: Home, is_it: pl.Expr) -> Record | None:
    row = _first(read_table(home, UNMAPPED_PRODUCTS, is_it))
    names = ("reason", "best_kind_id", "best_kind", "best_score")
    return {name: row[name] for name in names} if row else None


def _targets(scored: pl.DataFrame, mapped: pl.DataFrame, evidence: pl.DataFrame) -> list[Record]:
    """A kind each: its mapping, its signals, its probability and its verdict, as far as it got."""
    scores = {row["target_kind_id"]: row for row in scored.iter_rows(named=True)}
    signals = {row["target_kind_id"]: row for row in evidence.iter_rows(named=True)}
    names = ("target_kind_id", "target_kind", "target_category", "match_score", "match_margin", "match_rank")
    judged = ("holds_probability", "probability", "is_accepted", "classifier")
    found = []
    for row in mapped.sort("match_rank").iter_rows(named=True):
        score, signal = scores.get(row["target_kind_id"]), signals.get(row["target_kind_id"])
        reasons = score["reasons"] if score else []
        found.append(
            {name: row[name] for name in names}
            | {name: score[name] if score else None for name in judged}
            | {"reasons": [{"reason": r, "what_must_hold": REASONS.get(r, "")} for r in reasons]}
            | {"signals": _signals(signal)}
        )
    return found


def _signals(row: Record | None) -> list[Record]:
    columns = RELATION_EVIDENCE.columns
    skipped = RELATION_EVIDENCE.key
    return [
        {"signal": name, "value": value, "what": columns[name].description}
        for name, value in (row or {}).items()
        if name not in skipped
    ]


def _judgement(home: Home) -> Judgement | None:
    path = home.models / "judgement.json"
    return Judgement.from_json(path.read_text(encoding="utf-8")) if path.exists() else None


def _parts(
    judgement: Judgement | None, relation_id: str, mapped: pl.DataFrame, evidence: pl.DataFrame
) -> list[Record]:
    """What spoke for and against the statement, in logits, strongest first; with the base they sum up."""
    if judgement is None or mapped.is_empty() or evidence.is_empty():
        return []
    classifier: HallucinationClassifier = judgement.classifier
    parts = classifier.explain(statements_of(mapped, evidence), relation_id)
    return [{"part": name, "logit": round(value, 4)} for name, value in parts.items()]


def _policy(judgement: Judgement | None) -> Record | None:
    if judgement is None:
        return None
    policy = judgement.policy
    return {
        "threshold": policy.threshold,
        "min_match_score": policy.min_match_score,
        "classifier": judgement.classifier.content_hash,
        "is_certified": policy.certificate is not None,
        "why_uncertified": policy.why_uncertified,
    }
