"""Ranking metrics of one list against what was bought; a hit is a hit, there are no grades."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2


def hit_rate(ranked: Sequence[str], bought: Collection[str], k: int) -> float:
    """1 if one of the first k was bought, else 0."""
    return float(any(item in bought for item in ranked[:k]))


def recall(ranked: Sequence[str], bought: Collection[str], k: int) -> float:
    """Share of what was bought that stands among the first k."""
    return len(set(ranked[:k]) & set(bought)) / len(set(bought))


def ndcg(ranked: Sequence[str], bought: Collection[str], k: int) -> float:
    """Discounted gain of the first k over the best that k places allow, discount 1 / log2(place + 1)."""
    gain = sum(1 / log2(place + 2) for place, item in enumerate(ranked[:k]) if item in bought)
    return gain / sum(1 / log2(place + 2) for place in range(min(k, len(set(bought)))))
