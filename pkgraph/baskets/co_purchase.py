"""Which kinds are bought together more often than chance, corrected for the size of baskets.

Large baskets hold everything, so plain lift is above one for nearly every pair (median 2.27 over the well
supported pairs of the demo shop). If products fell into baskets at random, but baskets kept their sizes s, a
pair would be expected in

    expected = n_a * n_b / N * c,    c = N * sum(s * (s - 1)) / sum(s) ** 2

of the N baskets; c is about 2.3 in the demo shop.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pkgraph.baskets.delivery import before
from pkgraph.baskets.matrix import BasketMatrix, basket_matrix
from pkgraph.tables import CO_PURCHASE

MIN_BOTH = 3
"""A pair in fewer baskets than this is listed only where chance foretells `MIN_EXPECTED` of them."""

# Under 5 expected baskets the interval of a pair that never occurs reaches over a lift of 0.74: no evidence.
MIN_EXPECTED = 5.0

# Of the 95 % interval.
_TAIL = 0.025
# Cells of one dense block: 64 MB of float32, whatever the number of kinds.
_BLOCK_CELLS = 16_000_000


def size_correction(sizes: NDArray[np.int64]) -> float:
    """What basket sizes alone do to lift, >= 0: c of the formula above."""
    s = sizes.astype(np.float64)
    total = float(s.sum())
    return float(s.size * (s * (s - 1)).sum() / total**2) if total else 0.0


def _interval(n_both: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact 95 % interval of a Poisson mean from its count (Garwood 1936, by chi-square quantiles)."""
    from scipy.stats import chi2  # noqa: PLC0415  (scipy.stats costs 0.5 s)

    counts, place = np.unique(n_both, return_inverse=True)
    low = np.where(counts > 0, chi2.ppf(_TAIL, 2 * np.maximum(counts, 1)) / 2, 0.0)
    high = chi2.ppf(1 - _TAIL, 2 * counts + 2) / 2
    return low[place], high[place]


def _pairs(matrix: BasketMatrix, correction: float) -> pl.DataFrame:
    """Every pair worth listing, a block of rows at a time."""
    counts = matrix.counts.astype(np.float64)
    n_kinds = len(matrix.kind_ids)
    step = max(1, _BLOCK_CELLS // max(n_kinds, 1))
    by_kind = matrix.held.T.tocsr()
    blocks = [pl.DataFrame(schema={"a": pl.Int64, "b": pl.Int64, "n_both": pl.Int64, "expected": pl.Float64})]
    for start in range(0, n_kinds, step):
        both = (by_kind[start : start + step] @ matrix.held).toarray()
        expected = np.outer(counts[start : start + step], counts) * (correction / matrix.n_baskets)
        listed = np.triu((both >= MIN_BOTH) | (expected >= MIN_EXPECTED), k=start + 1)
        a, b = np.nonzero(listed)
        found = {"n_both": both[a, b].astype(np.int64), "expected": expected[a, b]}
        blocks.append(pl.DataFrame({"a": (a + start).astype(np.int64), "b": b.astype(np.int64), **found}))
    return pl.concat(blocks)


def co_purchase(
    products: pl.DataFrame, lines: pl.DataFrame, *, until: datetime | None = None
) -> pl.DataFrame:
    """Pairs of kinds with their corrected lift, table `co_purchase`.

    A pair is listed if at least `MIN_BOTH` baskets hold both, or if chance foretells at least `MIN_EXPECTED`.
    Any other pair is unknown: too little was bought to say anything.

    Args:
        products: Table `products`.
        lines: Table `basket_lines`.
        until: Only baskets before this time count, so that later ones can measure what was learned.
    """
    matrix = basket_matrix(products, before(lines, until))
    if not matrix.n_baskets:
        return CO_PURCHASE.empty()
    found = _pairs(matrix, size_correction(matrix.sizes))
    a, b, n_both = found["a"].to_numpy(), found["b"].to_numpy(), found["n_both"].to_numpy()
    ids, counts = np.array(matrix.kind_ids), matrix.counts
    low, high = _interval(n_both)
    expected = found["expected"].to_numpy()
    return CO_PURCHASE.conform(
        pl.DataFrame(
            {
                "kind_a_id": ids[a],
                "kind_b_id": ids[b],
                "n_a": counts[a],
                "n_b": counts[b],
                "n_both": n_both,
                "n_baskets": np.full(n_both.size, matrix.n_baskets),
                "expected": expected,
                "lift": n_both / expected,
                "lift_low": low / expected,
                "lift_high": high / expected,
            }
        )
    )
