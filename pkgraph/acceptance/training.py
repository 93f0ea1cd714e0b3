"""Stage `hallucination_classifier`: labels and evidence become a calibrated linear model.

A logistic regression over three blocks. Words weigh more than signals before the penalty, since a word speaks
in few statements; both were chosen by cross-validation on the demo's labels (`python -m benchmarks.gate`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pkgraph.acceptance.classifier import HallucinationClassifier, deal
from pkgraph.acceptance.member import (
    CONFIDENCE_CENTRE,
    Floats,
    Member,
    Signal,
    Witness,
    Word,
    signal_values,
    standardised,
    vocabulary_of,
    word_matrix,
)
from pkgraph.acceptance.statements import TEXTS
from pkgraph.errors import InputError
from pkgraph.evidence import MODEL_STYLE, SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIN_LABELS = 100
"""Fewer statements in a member's part, or fewer than `MIN_CLASS` of either verdict, teach nothing."""
MIN_CLASS = 10

N_MEMBERS = 5
"""Each has four fifths of the labels: AUROC 0.834 on the demo's frontier model, with halves 0.785, with nine
tenths 0.835 at twice the time."""

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a member is trained.

    Attributes:
        signals: Names of the signals. Those that tell models apart by their manners are left out: the witness
            says openly what is known of a model.
        has_words: Read the words of rationale, product and explanation.
        has_witness: Learn a bias a model, and what its stated confidence is worth.
        penalties_inverse: Values of C of the logistic regression; the one with the least held-out log loss
            within the member's own labels is taken. Of 0.03, 0.1 and 0.3 every member took 0.1.
        signal_scale, word_scale, witness_scale: Larger is penalised less.
        min_texts: A word in fewer statements is not read.
        n_folds: Folds of the inner cross-validation, by source, that penalty and calibration are learned on.
    """

    signals: tuple[str, ...] = tuple(name for name in SIGNALS if name not in MODEL_STYLE)
    has_words: bool = True
    has_witness: bool = True
    penalties_inverse: tuple[float, ...] = (0.1,)
    signal_scale: float = 0.3
    word_scale: float = 2.0
    witness_scale: float = 1.0
    confidence_scale: float = 5.0
    min_texts: int = 3
    n_folds: int = 5


@dataclass(frozen=True, slots=True)
class Training:
    """What was learned, and what it says of statements whose source it has not seen.

    Attributes:
        classifier: To be stored.
        judged: Columns relation_id, model, source, relation_type, is_mapped, member, holds_probability, holds
            (null: not labelled): every statement as the classifier judges it, sorted by relation_id.
    """

    classifier: HallucinationClassifier
    judged: pl.DataFrame


def train_classifier(
    statements: pl.DataFrame,
    labelled: pl.DataFrame,
    *,
    seed: int,
    recipe: Recipe | None = None,
    n_members: int = N_MEMBERS,
) -> Training:
    """A classifier whose members have not seen the labels of the sources they judge.

    Args:
        statements: As `statements_of` makes them.
        labelled: Table `labelled_relations`; what was drawn at random measures and is not learned from.
        seed: Deals sources out to members and folds.
        recipe: How each member is trained; None: as the demo's labels advise.
        n_members: 1 trains on all labels: for shops without labels of their own, it is marked as transferred.

    Raises:
        InputError: There are too few labels, or nearly all of one verdict. Nothing was trained.
    """
    recipe = recipe or Recipe()
    teaching = labelled.filter("teaches").select("relation_id", "holds")
    known = statements.join(teaching, on="relation_id").sort("relation_id")
    dealt = deal(known["source"], seed, n_members)
    parts = [known if n_members == 1 else known.filter(dealt != number) for number in range(n_members)]
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - part of scikit-learn

    # The matrices are small: a second BLAS thread waits more than it works, 15 s of CPU instead of 5.
    with threadpool_limits(limits=1):
        members = tuple(train_member(part, recipe, seed=seed) for part in parts)
    classifier = HallucinationClassifier(members, seed, known.height, is_transferred=n_members == 1)
    return Training(classifier, judge(statements, labelled, classifier))


def judge(
    statements: pl.DataFrame, labelled: pl.DataFrame, classifier: HallucinationClassifier
) -> pl.DataFrame:
    """The frame `Training.judged`, also of a classifier that was trained before."""
    judged = statements.select("relation_id", "model", "source", "relation_type", "is_mapped").with_columns(
        member=pl.Series(classifier.deal(statements["source"]), dtype=pl.Int32),
        holds_probability=pl.Series(classifier.probabilities(statements), dtype=pl.Float64),
    )
    return judged.join(labelled.select("relation_id", "holds"), on="relation_id", how="left").sort(
        "relation_id"
    )


def train_member(known: pl.DataFrame, recipe: Recipe, *, seed: int) -> Member:
    """One member from statements with the column `holds`, calibrated on folds by source.

    Raises:
        InputError: There are too few labels, or nearly all of one verdict.
    """
    holds = known["holds"].to_numpy()
    if known.height < MIN_LABELS or min(holds.sum(), (~holds).sum()) < MIN_CLASS:
        raise InputError(
            f"{known.height} labelled statements, {int(holds.sum())} of which hold, teach no classifier.",
            remedy=f"Label {MIN_LABELS}, {MIN_CLASS} of them wrong; until then use the pretrained one.",
        )
    held_out = {c: _held_out(known, recipe, c, seed) for c in recipe.penalties_inverse}
    calibrations = {c: _calibration(logits, holds) for c, logits in held_out.items()}
    losses = {c: _log_loss(held_out[c], calibrations[c], holds) for c in held_out}
    best = min(losses, key=lambda c: (losses[c], c))
    slope, offset = calibrations[best]
    return replace(_fit(known, recipe, best), slope=slope, offset=offset)


def _held_out(known: pl.DataFrame, recipe: Recipe, penalty_inverse: float, seed: int) -> Floats:
    """Uncalibrated logits of every statement, by a member that has not seen its source."""
    logits = np.zeros(known.height)
    for training, test in _folds(known["source"].to_list(), recipe.n_folds, seed):
        member = _fit(known[training.tolist()], recipe, penalty_inverse)
        logits[test] = member.logits(known[test.tolist()])
    return logits


def _log_loss(logits: Floats, calibration: tuple[float, float], holds: Any) -> float:
    z = calibration[0] * logits + calibration[1]
    # Rounded, so that a tie is one on every machine.
    return round(float(np.mean(np.logaddexp(0, np.where(holds, -z, z)))), 6)


def _folds(sources: Sequence[str], n_folds: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Row numbers of training and test parts; a source stands in one test part."""
    numbers = deal(pl.Series(sources), seed + 1, n_folds)
    for fold in range(n_folds):
        test = np.flatnonzero(numbers == fold)
        if test.size:
            yield np.flatnonzero(numbers != fold), test


def _calibration(logits: Floats, holds: Any) -> tuple[float, float]:
    """Slope and offset of Platt's sigmoid on held-out logits."""
    model = _logistic(logits[:, None], holds, penalty_inverse=1e4)
    return max(_rounded(model.coef_[0, 0]), 1e-3), _rounded(model.intercept_[0])


def _logistic(matrix: Floats, holds: Any, *, penalty_inverse: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - sklearn costs 1 s

    return LogisticRegression(C=penalty_inverse, max_iter=5000, tol=1e-6).fit(matrix, holds)


def _rounded(value: float) -> float:
    # Nine digits say all; the last bits of a float differ between machines.
    return round(float(value), _DIGITS)


def _fit(known: pl.DataFrame, recipe: Recipe, penalty_inverse: float) -> Member:
    scalings = {name: _scaling(signal_values(known, name)) for name in recipe.signals}
    vocabularies = _vocabularies(known, recipe)
    models = sorted(known["model"].unique()) if recipe.has_witness else []
    blocks = [_signal_block(known, scalings) * recipe.signal_scale]
    blocks += [word_matrix(known[field], v) * recipe.word_scale for field, v in vocabularies.items()]
    blocks.append(_witness_block(known, models, recipe))
    matrix = np.hstack(blocks)
    fitted = _logistic(matrix, known["holds"].to_numpy(), penalty_inverse=penalty_inverse)
    weights = iter(fitted.coef_[0])
    return Member(
        bias=_rounded(fitted.intercept_[0]),
        signals=_signals(scalings, [next(weights) * recipe.signal_scale for _ in range(2 * len(scalings))]),
        words={
            field: {
                word: Word(_rounded(rarity), _rounded(next(weights) * recipe.word_scale))
                for word, rarity in vocabulary.items()
            }
            for field, vocabulary in vocabularies.items()
        },
        witnesses={
            model: Witness(
                _rounded(next(weights) * recipe.witness_scale),
                _rounded(next(weights) * recipe.confidence_scale),
            )
            for model in models
        },
    )


def _scaling(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation of what is known; (0, 1) where nothing is, or it never changes."""
    known = values[~np.isnan(values)]
    spread = float(known.std()) if known.size else 0.0
    return (_rounded(known.mean()), _rounded(spread)) if spread > 1e-6 else (0.0, 1.0)  # noqa: PLR2004


def _signal_block(known: pl.DataFrame, scalings: dict[str, tuple[float, float]]) -> Floats:
    """Standardised signals, then 1 where they are missing, shape (n, 2 * n_signals)."""
    if not scalings:
        return np.zeros((known.height, 0))
    z = np.column_stack([standardised(signal_values(known, n), *scalings[n]) for n in scalings])
    missing = np.isnan(z)
    # That a signal is always missing says nothing about one statement.
    always = missing.all(axis=0)
    # A constant signal has scaling (0, 1): it is left out rather than mixed with the bias.
    constant = np.array([scaling == (0.0, 1.0) for scaling in scalings.values()])
    z = np.where(missing | constant, 0.0, z)
    return np.hstack([z, np.where(always, 0.0, missing)])


def _signals(scalings: dict[str, tuple[float, float]], weights: list[float]) -> dict[str, Signal]:
    n = len(scalings)
    return {
        name: Signal(mean, scale, _rounded(weights[i]), _rounded(weights[n + i]))
        for i, (name, (mean, scale)) in enumerate(scalings.items())
    }


def _vocabularies(known: pl.DataFrame, recipe: Recipe) -> dict[str, dict[str, float]]:
    if not recipe.has_words:
        return {}
    return {field: vocabulary_of(known[field].to_list(), min_texts=recipe.min_texts) for field in TEXTS}


def _witness_block(known: pl.DataFrame, models: list[str], recipe: Recipe) -> Floats:
    """A bias and a confidence column for each model, shape (n, 2 * n_models)."""
    confidence = known["stated_confidence"].fill_null(0.0).to_numpy() - CONFIDENCE_CENTRE
    columns = []
    for model in models:
        mine = (known["model"] == model).to_numpy().astype(np.float64)
        columns += [mine * recipe.witness_scale, mine * confidence * recipe.confidence_scale]
    return np.column_stack(columns) if columns else np.zeros((known.height, 0))
