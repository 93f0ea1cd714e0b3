"""The logistic model over pair features: numbers in JSON, so that shops without labels have it too.

`python -m benchmarks.mapping --write` trains and writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from pkgraph.errors import SettingsError
from pkgraph.mapping.features import NAMES


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How features become the probability that a kind fits.

    Attributes:
        means: float64 of shape (n_features,). Subtracted first.
        scales: float64 of shape (n_features,). Divided by next, all above 0.
        coefficients: float64 of shape (n_features,).
        intercept: Log-odds where every feature is at its mean.
        threshold: Probability from which a kind is taken, 0-1.
        lead: How far below the best kind of a phrase another one may score and still be taken, 0-1.
        note: What it was trained on, and when not to trust it.
    """

    means: np.ndarray
    scales: np.ndarray
    coefficients: np.ndarray
    intercept: float
    threshold: float
    lead: float
    note: str

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Probability that the kind fits, for rows of features."""
        logits = ((features - self.means) / self.scales) @ self.coefficients + self.intercept
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))))


def calibration_text() -> str:
    """The calibration as it ships."""
    return (files("pkgraph.mapping") / "calibration.json").read_text(encoding="utf-8")


@cache
def shipped_calibration() -> Calibration:
    return parse_calibration(calibration_text())


def parse_calibration(text: str) -> Calibration:
    """A calibration from JSON.

    Raises:
        SettingsError: It was written for other features. Run `python -m benchmarks.mapping --write`.
    """
    document = json.loads(text)
    if tuple(document["features"]) != NAMES:
        raise SettingsError(
            "The mapping calibration was written for other features.",
            remedy="Run `python -m benchmarks.mapping --write`.",
        )
    return Calibration(
        means=np.array(document["means"]),
        scales=np.array(document["scales"]),
        coefficients=np.array(document["coefficients"]),
        intercept=float(document["intercept"]),
        threshold=float(document["threshold"]),
        lead=float(document["lead"]),
        note=str(document["note"]),
    )
