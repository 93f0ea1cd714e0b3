"""The calibration is learned from labelled pairs of phrase and kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.optimize import minimize

from pkgraph.mapping.calibration import Calibration
from pkgraph.mapping.candidates import read_phrases
from pkgraph.mapping.features import NAMES, SIGNS, pair_features

if TYPE_CHECKING:
    from pkgraph.mapping.index import KindIndex

ROUNDS = 4
# Half the squared coefficients times this is added to the loss; chosen by cross-validation over phrases.
RIDGE = 3.0
TARGET_PRECISION = 0.97
# Chosen on the sampled pairs among 0.02, 0.05, 0.1 and 0.2: precision 0.97, 0.97, 0.96 and 0.93.
LEAD = 0.05


def labelled_pairs(labels: pl.DataFrame, index: KindIndex) -> tuple[np.ndarray, np.ndarray]:
    """Features of every reading of every labelled pair, and the labelled row that each belongs to.

    Args:
        labels: Columns phrase and kind_id; every kind_id is in the index.
        index: The fitted kinds.
    """
    phrases = sorted(labels["phrase"].unique())
    readings = read_phrases(phrases, index)
    if readings is None:
        return np.empty((0, len(NAMES))), np.empty(0, dtype=np.int64)
    row_of = {kind: row for row, kind in enumerate(index.kinds["kind_id"])}
    of_phrase: dict[str, list[int]] = {phrase: [] for phrase in phrases}
    for at, position in enumerate(readings.phrase.tolist()):
        of_phrase[phrases[position]].append(at)
    cells = [
        (label, at, row_of[kind])
        for label, (phrase, kind) in enumerate(labels.select("phrase", "kind_id").iter_rows())
        for at in of_phrase[phrase]
    ]
    where = np.array(cells, dtype=np.int64).reshape(-1, 3)
    return pair_features(readings, index, where[:, 1], where[:, 2]), where[:, 0]


def _fit_signed(features: np.ndarray, fits: np.ndarray) -> np.ndarray:
    """Intercept and coefficients of a ridge logistic regression whose coefficients keep to SIGNS."""
    design = np.column_stack([np.ones(len(features)), features])
    ridge = np.r_[0.0, np.full(features.shape[1], RIDGE)]
    low = [None if SIGNS[name] < 1 else 0.0 for name in NAMES]
    high = [None if SIGNS[name] > -1 else 0.0 for name in NAMES]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ weights
        value = np.sum(np.logaddexp(0.0, logits) - fits * logits) + 0.5 * np.sum(ridge * weights**2)
        probability = 1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500)))
        return float(value), design.T @ (probability - fits) + ridge * weights

    bounds = [(None, None), *zip(low, high, strict=True)]
    start = np.zeros(design.shape[1])
    return np.asarray(
        minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2000}).x
    )


def best_scores(
    calibration: Calibration, features: np.ndarray, label: np.ndarray, n_labels: int
) -> np.ndarray:
    """The probability of the best reading of every labelled row."""
    best = np.zeros(n_labels)
    np.maximum.at(best, label, calibration.probability(features))
    return best


def train(
    features: np.ndarray, label: np.ndarray, fits: np.ndarray, *, threshold: float = 0.5
) -> Calibration:
    """A calibration from labelled rows; no label says which reading is meant: the likeliest is taken.

    Args:
        features: As `labelled_pairs` gives them.
        label: As `labelled_pairs` gives them.
        fits: 0/1 of shape (n_labels,).
        threshold: Probability from which a kind is taken.
    """
    means = features.mean(axis=0)
    scales = np.maximum(features.std(axis=0), 1e-6)
    # The first guess at the reading: the one whose words the kind covers best.
    guess = features[:, NAMES.index("covered_and_explained")] + features[:, NAMES.index("covered")]
    calibration = None
    for _ in range(ROUNDS):
        order = np.lexsort((np.arange(len(label)), -guess, label))
        chosen = order[np.unique(label[order], return_index=True)[1]]
        weights = _fit_signed((features[chosen] - means) / scales, fits[label[chosen]])
        calibration = Calibration(means, scales, weights[1:], float(weights[0]), threshold, LEAD, "")
        guess = calibration.probability(features)
    assert calibration is not None  # noqa: S101 - there is at least one round
    return calibration


def threshold_for(scores: np.ndarray, fits: np.ndarray, precision: float = TARGET_PRECISION) -> float:
    """The lowest probability from which at least this share of the pairs fits; 1 where there is none."""
    order = np.argsort(-scores, kind="stable")
    share = np.cumsum(fits[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= precision)
    return float(scores[order[good[-1]]]) if len(good) else 1.0


def calibration_json(calibration: Calibration, *, note: str, threshold: float) -> str:
    """The calibration as it is shipped."""
    document = {
        "note": note,
        "features": list(NAMES),
        "means": [round(float(x), 8) for x in calibration.means],
        "scales": [round(float(x), 8) for x in calibration.scales],
        "coefficients": [round(float(x), 8) for x in calibration.coefficients],
        "intercept": round(calibration.intercept, 8),
        "threshold": round(threshold, 4),
        "lead": LEAD,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
