"""A calibrated linear model over signals, words and witnesses, as plain numbers; it scores with numpy."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

Floats = NDArray[np.float64]

# Further from the mean than four standard deviations, a signal says no more.
MAX_Z = 4.0
# Where a stated confidence neither speaks for nor against; near the mean of the recorded answers (0.69).
CONFIDENCE_CENTRE = 0.65
_CONFIDENCE = "stated_confidence"
_LOGARITHMIC = frozenset({"n_targets", "rationale_target_support", "rationale_degree", "target_degree"})
_WORD = re.compile(r"[^\W_]{2,}")


@dataclass(frozen=True, slots=True)
class Signal:
    """How a signal enters: ((value - mean) / scale) * weight, or `missing` where it is null."""

    mean: float
    scale: float
    weight: float
    missing: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """How a word enters: rarity * weight / length of its text's rarities."""

    rarity: float
    weight: float


@dataclass(frozen=True, slots=True)
class Witness:
    """What is known of a model from its labels: a bias, and what its stated confidence is worth."""

    bias: float
    slope: float


@dataclass(frozen=True, slots=True)
class Member:
    """One linear model.

    Attributes:
        bias: Logit of a statement of which nothing else is known.
        signals: Name of the signal to how it enters.
        words: Field, then word, to how it enters.
        witnesses: Name of the model to what is known of it; none: models are not told apart.
        slope, offset: Calibration: probability = 1 / (1 + exp(-(slope * logit + offset))), slope > 0.
    """

    bias: float
    signals: Mapping[str, Signal]
    words: Mapping[str, Mapping[str, Word]]
    witnesses: Mapping[str, Witness]
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, statements: pl.DataFrame) -> Floats:
        """Calibrated logits of shape (n_statements,), in the order of the rows."""
        total = np.full(statements.height, self.bias)
        for part in self.contributions(statements).values():
            total += part
        # exp(30) is beyond any share that labels can tell from 1.
        return np.clip(self.slope * total + self.offset, -30.0, 30.0)

    def contributions(self, statements: pl.DataFrame) -> dict[str, Floats]:
        """What each signal, each field's words and the witness add to the uncalibrated logit."""
        found = {name: _signal_part(statements, name, self.signals[name]) for name in sorted(self.signals)}
        for field in sorted(self.words):
            vocabulary = self.words[field]
            found[f"words of {field}"] = np.array([_word_part(t, vocabulary) for t in statements[field]])
        if self.witnesses:
            confidence = statements[_CONFIDENCE].fill_null(0.0).to_numpy() - CONFIDENCE_CENTRE
            pairs = zip(statements["model"], confidence, strict=True)
            found["witness"] = np.array([self._witness_part(model, value) for model, value in pairs])
        return {name: part.astype(np.float64) for name, part in found.items()}

    def _witness_part(self, model: str, confidence: float) -> float:
        known = self.witnesses.get(model)
        # A model without labels counts as the worst one known: unknown is no.
        witnesses = [known] if known else list(self.witnesses.values())
        return min(one.bias + one.slope * confidence for one in witnesses)


def signal_values(statements: pl.DataFrame, name: str) -> Floats:
    """A signal on the scale the models see, shape (n_statements,); NaN where it is null."""
    values = statements[name].to_numpy().astype(np.float64)
    return np.log1p(values) if name in _LOGARITHMIC else values


def standardised(values: Floats, mean: float, scale: float) -> Floats:
    return np.asarray(np.clip((values - mean) / scale, -MAX_Z, MAX_Z), dtype=np.float64)


def _signal_part(statements: pl.DataFrame, name: str, signal: Signal) -> Floats:
    z = standardised(signal_values(statements, name), signal.mean, signal.scale)
    return np.where(np.isnan(z), signal.missing, np.nan_to_num(z) * signal.weight)


@lru_cache(maxsize=20_000)  # folds and members read the same texts: 2 of 15 s of training
def words_in(text: str) -> tuple[str, ...]:
    """The distinct words of a text, sorted; small words stay, since "to" and "often" tell vague sentences."""
    return tuple(sorted(set(_WORD.findall(text.casefold().replace("'", "").replace("’", "")))))


def _word_part(text: str, vocabulary: Mapping[str, Word]) -> float:
    known = [vocabulary[word] for word in words_in(text) if word in vocabulary]
    length = math.sqrt(sum(word.rarity**2 for word in known))
    return sum(word.rarity * word.weight for word in known) / length if length else 0.0


def vocabulary_of(texts: Sequence[str], *, min_texts: int) -> dict[str, float]:
    """Words that occur in enough texts, with their rarity 1 + ln(n / count)."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in words_in(text):
            counts[word] = counts.get(word, 0) + 1
    n = len(texts)
    return {word: 1 + math.log(n / count) for word, count in sorted(counts.items()) if count >= min_texts}


def word_matrix(texts: Iterable[str], rarities: Mapping[str, float]) -> Floats:
    """Rarities of the known words of each text, rows of length 1 or 0, shape (n_texts, n_words)."""
    columns = {word: column for column, word in enumerate(rarities)}
    rows = [[columns[word] for word in words_in(text) if word in columns] for text in texts]
    matrix = np.zeros((len(rows), len(columns)))
    weights = np.array(list(rarities.values()))
    for row, present in enumerate(rows):
        matrix[row, present] = weights[present]
    length = np.sqrt((matrix**2).sum(axis=1, keepdims=True))
    return matrix / np.where(length > 0, length, 1.0)


def probability(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)
