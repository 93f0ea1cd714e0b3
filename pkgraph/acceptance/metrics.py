"""How well probabilities fit verdicts: ranking, calibration, the numbers of the reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

N_BINS = 15
"""Bins of the expected calibration error, of equal mass: as many statements in each, within one."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of probabilities that a statement holds; None where a measure is not defined.

    Attributes:
        n: Statements.
        wrong_share: Share that does not hold.
        auroc: Area under the ROC curve, 0-1.
        auprc_wrong: Average precision at finding the wrong ones, 0-1; `wrong_share` is chance.
        brier: Mean squared error, 0-1.
        ece: Expected calibration error, 15 bins of equal mass, 0-1.
    """

    n: int
    wrong_share: float
    auroc: float | None
    auprc_wrong: float | None
    brier: float
    ece: float


def measure(probability: Floats, holds: NDArray[np.bool_]) -> Metrics:
    """Metrics of probabilities against verdicts, both of shape (n,), n > 0."""
    has_both = bool(holds.any() and not holds.all())
    return Metrics(
        n=int(holds.size),
        wrong_share=float(1 - holds.mean()),
        auroc=_auroc(probability, holds) if has_both else None,
        auprc_wrong=_average_precision(1 - probability, ~holds) if has_both else None,
        brier=float(np.mean((probability - holds) ** 2)),
        ece=expected_calibration_error(probability, holds),
    )


def measure_by(judged: pl.DataFrame, column: str | None = None) -> dict[str, Metrics]:
    """Metrics of the mapped and labelled statements of `Training.judged`: of all, or by a column's values."""
    known = judged.filter(pl.col("is_mapped") & pl.col("holds").is_not_null())
    parts = [("all", known)]
    if column is not None:
        grouped = known.sort(column).group_by(column, maintain_order=True)
        parts = [(str(value), part) for (value,), part in grouped]
    return {
        name: measure(part["holds_probability"].to_numpy(), part["holds"].to_numpy())
        for name, part in parts
        if part.height
    }


def _auroc(score: Floats, positive: NDArray[np.bool_]) -> float:
    ranks = pl.Series(score).rank("average").to_numpy()
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _average_precision(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Mean over the positives of the precision at their score; equal scores count together."""
    order = np.argsort(-score, kind="stable")
    hits, ranked = np.cumsum(positive[order]), score[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    precision = hits[last] / (np.flatnonzero(last) + 1)
    gained = np.diff(np.append(0, hits[last]))
    return float((precision * gained).sum() / positive.sum())


def reliability(probability: Floats, holds: NDArray[np.bool_], *, n_bins: int = N_BINS) -> pl.DataFrame:
    """Bins of equal mass: columns n, mean_probability, holding_share, in the order of probability."""
    order = np.argsort(probability, kind="stable")
    parts: list[Any] = [part for part in np.array_split(order, n_bins) if part.size]
    return pl.DataFrame(
        {
            "n": [int(part.size) for part in parts],
            "mean_probability": [float(probability[part].mean()) for part in parts],
            "holding_share": [float(holds[part].mean()) for part in parts],
        }
    )


def expected_calibration_error(
    probability: Floats, holds: NDArray[np.bool_], *, n_bins: int = N_BINS
) -> float:
    """Mean over statements of how far their bin's mean probability is from its share that holds."""
    bins = reliability(probability, holds, n_bins=n_bins)
    gaps = (bins["mean_probability"] - bins["holding_share"]).abs()
    return float(np.average(gaps.to_numpy(), weights=bins["n"].to_numpy()))
