"""Maximal marginal relevance: of the best, each next one is worth less the more it is like those chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkgraph.recommend.ranking import score_of
from pkgraph.snapshot.format import MICRO

if TYPE_CHECKING:
    from pkgraph.recommend.picking import Pick
    from pkgraph.snapshot.layout import Sections

POOL = 4
"""Candidates a place of the answer."""
SAME_KIND, SAME_PHRASE, SAME_RATIONALE, SAME_CATEGORY = 1.0, 0.75, 0.5, 0.5
"""How alike two products are, 0-1: the greatest that holds. Judgement: two of a kind say one thing twice,
two of a shelf or for one purpose half of it."""


def likeness(s: Sections, first: Pick, second: Pick) -> float:
    """How alike two products are, 0-1."""
    if first.kind == second.kind:
        return SAME_KIND
    one, other = first.ways[0].edge, second.ways[0].edge
    if s.edge_phrase[one] == s.edge_phrase[other]:
        return SAME_PHRASE
    if s.edge_rationale[one] == s.edge_rationale[other]:
        return SAME_RATIONALE
    return SAME_CATEGORY if s.kind_category[first.kind] == s.kind_category[second.kind] else 0.0


def diverse(s: Sections, picks: list[Pick], k: int, diversity: float) -> list[Pick]:
    """The k picks that each were best when chosen: (1 - diversity) * score - diversity * likeness.

    Args:
        s: The snapshot.
        picks: Candidates, best first; among equals the earlier is chosen.
        k: How many at most.
        diversity: 0 keeps the order, 1 asks for difference alone; counted in millionths, so ties are ties.
    """
    left = [(round(score_of(pick.weight) * MICRO), pick) for pick in picks]
    share = round(diversity * MICRO)
    chosen: list[Pick] = []
    alike = dict.fromkeys(range(len(left)), 0)
    places = list(range(len(left)))
    while places and len(chosen) < k:
        best = max(places, key=lambda i: ((MICRO - share) * left[i][0] - share * alike[i], -i))
        places.remove(best)
        chosen.append(left[best][1])
        for i in places:
            alike[i] = max(alike[i], round(likeness(s, left[i][1], chosen[-1]) * MICRO))
    return chosen
