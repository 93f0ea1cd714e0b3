"""From ranked kinds to products: the most popular that may appear, not too many of a kind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pkgraph.recommend.ranking import Way, arrivals_of, phrase_behind, ranked, ways_to

if TYPE_CHECKING:
    from pkgraph.recommend.question import Question
    from pkgraph.recommend.ranking import Arrivals
    from pkgraph.snapshot.layout import Sections


class Pick(NamedTuple):
    """A chosen product.

    Attributes:
        sku_row: Its row.
        kind: Its kind.
        weight: Summed weight that the kind was reached with.
        ways: One a source that leads there, heaviest first.
    """

    sku_row: int
    kind: int
    weight: int
    ways: tuple[Way, ...]


def picks_of(s: Sections, question: Question) -> list[Pick]:
    """The best products, from merged rows where they can answer, from all paths where they cannot."""
    if question.fits_rows:
        arrivals = arrivals_of(s, question, by_rows=True)
        picked = pick(s, question, arrivals)
        if len(picked) == question.k or not arrivals.is_cut:
            return picked
    return pick(s, question, arrivals_of(s, question, by_rows=False))


def pick(s: Sections, question: Question, arrivals: Arrivals) -> list[Pick]:
    """The k best products, ties by SKU."""
    kinds, weights = ranked(arrivals)
    hidden_kinds = set() if question.include_seed_kinds else {source.node for source in question.sources}
    taken: Counter[int] = Counter()
    picked: list[Pick] = []
    for kind, weight in zip(kinds.tolist(), weights.tolist(), strict=True):
        if len(picked) >= question.k and weight < picked[question.k - 1].weight:
            break
        if kind in hidden_kinds or not _is_wanted(s, question, kind):
            continue
        ways = ways_to(arrivals, kind)
        phrase = phrase_behind(s, ways[0], kind)
        if phrase >= 0 and taken[phrase] >= question.max_per_phrase:
            continue
        found = _products_of(s, question, kind)
        taken[phrase] += bool(found)
        picked += [Pick(row, kind, weight, ways) for row in found]
    return sorted(picked, key=lambda pick: (-pick.weight, pick.sku_row))[: question.k]


def _is_wanted(s: Sections, question: Question, kind: int) -> bool:
    return question.categories is None or int(s.kind_category[kind]) in question.categories


def _products_of(s: Sections, question: Question, kind: int) -> list[int]:
    found: list[int] = []
    for row in s.kind_skus[slice(*s.kind_sku_offsets[kind : kind + 2].tolist())].tolist():
        if _may_appear(s, question, row):
            found.append(row)
            if len(found) == question.max_per_kind:
                break
    return found


def _may_appear(s: Sections, question: Question, row: int) -> bool:
    if question.prices is not None:
        low, high = question.prices
        if not low <= float(s.sku_price[row]) <= high:  # an unknown price lies in no range
            return False
    sku = s.sku_ids[row]
    if sku in question.hidden:
        return False
    available = question.available
    if available is None:
        return True
    return bool(available(sku)) if callable(available) else sku in available
