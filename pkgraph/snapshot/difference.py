"""What two snapshots differ in: products, kinds, relations in and out with the reason, inputs.

Everything is read off the two snapshots, so what is compared is what is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pkgraph.snapshot.format import RELATION_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pkgraph.snapshot.layout import Array, Sections, Strings
    from pkgraph.snapshot.reader import Snapshot

REASONS = {
    "no_source": ("its source kind left the catalog", "its source kind is new"),
    "no_target": ("its target kind left the catalog", "its target kind is new"),
    "no_model": ("no model that said so is asked any more", "its model was not asked before"),
    "judged_anew": ("its answer stands, its mapping or judgement changed", "it was mapped or judged anew"),
    "answered_anew": ("its question has another answer", "its question has another answer"),
    "answer_gone": ("its question is not asked or has no such answer any more", "its question is new"),
}
"""Why a relation went out, why one came in; the first that holds counts, in this order."""

# What a relation's fate hangs on besides its answer.
_JUDGED_BY = ("classifier", "mapping", "promise", "kinds", "labels", "calibration")
_ANSWERED_BY = ("answers", "models", "templates", "model_names")


@dataclass(frozen=True, slots=True)
class RelationChange:
    """One edge that is in one of two snapshots alone, or in both with another probability or sentence.

    Attributes:
        source: Title of the kind that was asked about; None where the rationale itself was.
        before: Probability in the earlier snapshot, None where it was not there.
        after: Probability in the later one, None where it is not there.
        reason: Key of REASONS; "" where it is in both.
    """

    source: str | None
    relation_type: str
    rationale: str
    target: str
    before: float | None
    after: float | None
    reason: str


def told(change: RelationChange) -> str:
    """Why the relation came or went, as half a sentence; "" where it is in both."""
    return REASONS[change.reason][change.before is None] if change.reason else ""


@dataclass(frozen=True, slots=True)
class ProductChange:
    """The best-selling product of a kind whose relations changed.

    Attributes:
        gained: Relations of its kind that came in.
        lost: Those that went out.
        change: Sum of the changes of probability, each 0-1, over all of them.
    """

    sku: str
    title: str
    gained: int
    lost: int
    change: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one snapshot to a later one.

    Attributes:
        skus_in: SKUs that only the later one has, sorted; likewise `skus_out`, and kinds by title.
        relations_in: Surest first; likewise `relations_out` and `relations_changed`.
        products: The most changed ones, by change times popularity.
        inputs: Names of the inputs that differ, sorted.
    """

    before_id: str
    after_id: str
    skus_in: tuple[str, ...]
    skus_out: tuple[str, ...]
    kinds_in: tuple[str, ...]
    kinds_out: tuple[str, ...]
    relations_in: tuple[RelationChange, ...]
    relations_out: tuple[RelationChange, ...]
    relations_changed: tuple[RelationChange, ...]
    products: tuple[ProductChange, ...]
    inputs: tuple[str, ...]
    n_skus_before: int

    @property
    def sku_loss(self) -> float:
        """Share of the earlier snapshot's SKUs that the later one lacks, 0-1."""
        return len(self.skus_out) / max(self.n_skus_before, 1)

    @property
    def is_empty(self) -> bool:
        """Whether both say the same of the same products, whatever they were made from."""
        return not (
            self.skus_in
            or self.skus_out
            or self.kinds_in
            or self.kinds_out
            or self.relations_in
            or self.relations_out
            or self.relations_changed
        )


def compare(before: Snapshot, after: Snapshot, *, n_products: int = 10) -> Difference:
    """What changed from `before` to `after`.

    Args:
        before: The earlier snapshot.
        after: The later one.
        n_products: How many of the most changed products are named.
    """
    old, new = _Side.of(before, after), _Side.of(after, before)
    keys_before, keys_after = _edge_keys(old.s, new.s)
    out, came = ~np.isin(keys_before, keys_after), ~np.isin(keys_after, keys_before)
    stayed = np.flatnonzero(~came)
    former = np.searchsorted(keys_before, keys_after[stayed]) if len(keys_before) else stayed
    moved = _differs(old.s, former, new.s, stayed)
    skus_in, skus_out = _only(new.s.sku_ids, old.s.sku_ids)
    kinds_in, kinds_out = _only(new.s.kind_ids, old.s.kind_ids)
    reasons_out, reasons_in = old.reasons(), new.reasons()
    return Difference(
        before_id=before.snapshot_id,
        after_id=after.snapshot_id,
        skus_in=skus_in,
        skus_out=skus_out,
        kinds_in=new.titles(kinds_in),
        kinds_out=old.titles(kinds_out),
        relations_in=_surest(new.change(row, None, reasons_in) for row in np.flatnonzero(came).tolist()),
        relations_out=_surest(
            old.change(row, None, reasons_out, is_out=True) for row in np.flatnonzero(out).tolist()
        ),
        relations_changed=_surest(
            new.change(row, float(old.s.edge_probability[there]), None)
            for row, there in zip(stayed[moved].tolist(), former[moved].tolist(), strict=True)
        ),
        products=_products(new, old, came, out, (stayed[moved], former[moved]), n_products),
        inputs=tuple(sorted(_different(before.manifest.inputs, after.manifest.inputs))),
        n_skus_before=len(old.s.sku_ids),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two snapshots, and what the other one has of it."""

    s: Sections
    is_kind_there: Array
    is_response_there: Array
    is_prompt_there: Array
    is_model_there: Array
    is_judged_anew: bool
    is_answered_anew: bool

    @classmethod
    def of(cls, snapshot: Snapshot, other: Snapshot) -> _Side:
        s, o = snapshot.sections, other.sections
        differing = _different(snapshot.manifest.inputs, other.manifest.inputs)
        models = {*o.model_names, *other.manifest.inputs.get("model_names", ())}
        return cls(
            s,
            _is_in(s.kind_ids, set(o.kind_ids)),
            _is_in(s.response_ids, set(o.response_ids)),
            _is_in(s.prompt_ids, set(o.prompt_ids)),
            _is_in(s.model_names, models),
            bool(differing & set(_JUDGED_BY)),
            bool(differing & set(_ANSWERED_BY)),
        )

    def reasons(self) -> Array:
        """For every edge, why the other snapshot lacks it: a key of REASONS."""
        s, starts = self.s, self.s.edge_statement_offsets[:-1]
        if not len(starts):
            return np.empty(0, dtype=object)

        def any_statement(of_response: Array) -> Array:
            return np.logical_or.reduceat(of_response[s.statement_response], starts)

        is_answer_there = any_statement(self.is_response_there)
        is_asked_there = any_statement(self.is_prompt_there[s.response_prompt])
        # A snapshot names an answer only where it holds a statement of it: one that is not there was
        # replaced, or all of it is judged otherwise now. The inputs say which can be.
        was_judged = is_answer_there | (not self.is_answered_anew)
        told = {
            "no_source": (s.edge_source >= 0) & ~self.is_kind_there[s.edge_source],
            "no_target": ~self.is_kind_there[s.edge_target],
            "no_model": ~any_statement(self.is_model_there[s.response_model]),
            "judged_anew": was_judged | (self.is_judged_anew & ~is_asked_there),
            "answered_anew": is_asked_there,
        }
        return np.select(list(told.values()), np.array(list(told), dtype=object), "answer_gone")

    def titles(self, kind_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(self.s.kind_titles[self.s.kind_ids.find(key)] for key in kind_ids))

    def change(
        self, row: int, before: float | None, reasons: Array | None, *, is_out: bool = False
    ) -> RelationChange:
        s, own = self.s, float(self.s.edge_probability[row])
        source = int(s.edge_source[row])
        return RelationChange(
            source=s.kind_titles[source] if source >= 0 else None,
            relation_type=str(RELATION_TYPES[s.edge_type[row]]),
            rationale=s.rationale_texts[int(s.edge_rationale[row])],
            target=s.kind_titles[int(s.edge_target[row])],
            before=own if is_out else before,
            after=None if is_out else own,
            reason="" if reasons is None else str(reasons[row]),
        )


def _is_in(ids: Strings, others: set[str]) -> Array:
    return np.fromiter((key in others for key in ids), dtype=bool, count=len(ids))


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _only(one: Strings, other: Strings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ours, theirs = set(one), set(other)
    return tuple(sorted(ours - theirs)), tuple(sorted(theirs - ours))


def _edge_keys(a: Sections, b: Sections) -> tuple[Array, Array]:
    """One number an edge, equal for the same source, type, rationale and target; each side ascending.

    Edges stand by source, target, type and rationale, and those without a source come last, in both.
    """
    kinds = _numbers(a.kind_ids, b.kind_ids)
    rationales = _numbers(a.rationale_ids, b.rationale_ids)

    def keys(s: Sections) -> Array:
        kind = np.array([kinds[key] for key in s.kind_ids] + [len(kinds)], dtype=np.int64)
        rationale = np.array([rationales[key] for key in s.rationale_ids], dtype=np.int64)
        key = kind[s.edge_source] * len(kinds) + kind[s.edge_target]
        key = key * len(RELATION_TYPES) + s.edge_type
        return np.asarray(key * len(rationales) + rationale[s.edge_rationale])

    return keys(a), keys(b)


def _numbers(a: Strings, b: Strings) -> dict[str, int]:
    """Ids of both, numbered in their byte order, in which they stand."""
    both = sorted({*a, *b}, key=str.encode)
    return {key: number for number, key in enumerate(both)}


def _differs(old: Sections, former: Array, new: Sections, rows: Array) -> Array:
    """Which of these edges have another probability or another sentence."""
    is_other = old.edge_probability[former] != new.edge_probability[rows]
    sentences = zip(former.tolist(), rows.tolist(), strict=True)
    told = (old.edge_explanations.raw(there) != new.edge_explanations.raw(here) for there, here in sentences)
    return np.asarray(is_other | np.fromiter(told, dtype=bool, count=len(rows)), dtype=bool)


def _surest(changes: Iterable[RelationChange]) -> tuple[RelationChange, ...]:
    def order(one: RelationChange) -> tuple[float, str, str, str, str]:
        sureness = max(one.before or 0.0, one.after or 0.0)
        return -sureness, one.source or "", one.relation_type, one.rationale, one.target

    return tuple(sorted(changes, key=order))


def _products(
    new: _Side, old: _Side, came: Array, out: Array, moved: tuple[Array, Array], n: int
) -> tuple[ProductChange, ...]:
    """The best seller of each kind that changed most; a kind that left the catalog sells nothing."""
    s = new.s
    n_kinds = len(s.kind_ids)
    place = {key: row for row, key in enumerate(s.kind_ids)}
    there = np.array([place.get(key, n_kinds) for key in old.s.kind_ids] + [n_kinds], dtype=np.int64)
    here = np.append(np.arange(n_kinds), n_kinds)

    def total(kind_of: Array, side: Sections, rows: Array, amount: Array | None = None) -> Array:
        ends = np.concatenate([kind_of[side.edge_source[rows]], kind_of[side.edge_target[rows]]])
        weights = None if amount is None else np.concatenate([amount, amount])
        return np.bincount(ends, weights=weights, minlength=n_kinds + 1)[:n_kinds]

    shift = np.abs(s.edge_probability[moved[0]] - old.s.edge_probability[moved[1]])
    gained, lost = total(here, s, came), total(there, old.s, out)
    change = (
        total(here, s, came, s.edge_probability[came])
        + total(there, old.s, out, old.s.edge_probability[out])
        + total(here, s, moved[0], shift)
    )
    best = s.kind_skus[s.kind_sku_offsets[:-1]]
    order = np.lexsort((np.arange(n_kinds), -change, -change * s.sku_popularity[best]))
    return tuple(
        ProductChange(
            s.sku_ids[int(best[k])],
            s.sku_titles[int(best[k])],
            int(gained[k]),
            int(lost[k]),
            float(change[k]),
        )
        for k in order[:n].tolist()
        if change[k] > 0
    )
