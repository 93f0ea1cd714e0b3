"""The calibration set: pairs drawn uniformly at random from a stated frame, judged whole.

    prompt_id  model  position  statement  target_kind_id  holds  fit  reason  annotator  draw

`draw` is the place in the random order, from 0. A uniformly random order may be cut anywhere, so the sample
is its beginning up to the first pair that nobody judged: a pair left out later would be a choice.

Its first draws may be set apart to train, tune and choose thresholds: those are known then, and the rest is a
uniformly random sample of what they left, which alone certifies.

A pair is right if the statement holds and the kind is what the phrase asks for (`fit` 2) or acceptable to a
shopper who asks for it (`fit` 1): such a shopper is served, the graph says nothing false. Where annotators
differ, the pair is wrong.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from pkgraph.errors import InputError
from pkgraph.labels.agreement import Agreement, cohens_kappa, pairwise
from pkgraph.labels.reading import MIN_PROMPT_CHARS, statement_key
from pkgraph.model import content_key
from pkgraph.tables import (
    CALIBRATION_FRAME,
    CALIBRATION_LABELS,
    CALIBRATION_PAIRS,
    LABELLED_RELATIONS,
    REJECTED_LABELS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PAIR = ("prompt_id", "model", "position", "statement", "target_kind_id")
_NEEDED = (*_PAIR, "holds", "fit", "annotator", "draw")
_FRAME = ("prompt_id", "model", "n_pairs", "answer")
_MAX_CHARS, _MAX_LINES, _MAX_DIGITS = 300, 1_000_000, 7
_TRUTH = {"1": True, "0": False}
_FITS = {"0": 0, "1": 1, "2": 2}


_UNKNOWN = Agreement(0, None, None)


@dataclass(frozen=True, slots=True)
class CalibrationDelivery:
    """What became of the lines of a calibration file.

    Attributes:
        labels: Table `calibration_labels`.
        rejected: Table `rejected_labels`.
        n_lines: Lines delivered; always `labels.height + rejected.height`.
    """

    labels: pl.DataFrame
    rejected: pl.DataFrame
    n_lines: int


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """The random sample, held against the pairs of today.

    Attributes:
        pairs: Table `calibration_pairs`: the judged pairs that are still there, a row each.
        in_frame: Answers that stand as they did when the sample was drawn, by their key: `answer_keys`.
        n_labels: Labels that came in; each is in a row of `pairs`, or counted in `unused`.
        n_drawn: Pairs of the random order up to the first that was not judged.
        unused: Reason to the number of labels that belong to no pair of the sample.
        sample: Key of the verdicts that certify, however many of their pairs are still there; "": none do.
        agreement_holds, agreement_fit: Of annotators who judged the same pair.
    """

    pairs: pl.DataFrame
    in_frame: frozenset[str] = frozenset()
    n_labels: int = 0
    n_drawn: int = 0
    unused: Mapping[str, int] = field(default_factory=dict)
    agreement_holds: Agreement = _UNKNOWN
    agreement_fit: Agreement = _UNKNOWN
    sample: str = ""

    @classmethod
    def none(cls) -> CalibrationSet:
        """What a shop without calibration labels has."""
        return cls(CALIBRATION_PAIRS.empty())


def read_calibration_labels(path: Path) -> CalibrationDelivery:
    """The labels of a file.

    Raises:
        InputError: The file is missing, is not UTF-8, or lacks a column. Nothing was read.
    """
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    seen: set[tuple[object, ...]] = set()
    for number, row in _rows(path, _NEEDED):
        label = _label(row)
        key = tuple(label[name] for name in CALIBRATION_LABELS.key) if label else ()
        if label is None or key in seen:
            reason = "unreadable" if label is None else "duplicate_label"
            bad.append({"row": number, "reason": reason, "detail": str(row)[:200]})
        else:
            seen.add(key)
            good.append(label)
    return CalibrationDelivery(
        CALIBRATION_LABELS.conform(pl.DataFrame(good, schema=CALIBRATION_LABELS.schema)),
        REJECTED_LABELS.conform(pl.DataFrame(bad, schema=REJECTED_LABELS.schema)),
        len(good) + len(bad),
    )


def read_frame(path: Path) -> pl.DataFrame:
    """Table `calibration_frame`: the answers whose pairs the sample was drawn from.

    Raises:
        InputError: The file is missing, is not UTF-8, lacks a column, or a line of it cannot be read.
    """
    rows = []
    for number, row in _rows(path, _FRAME):
        if not (row["prompt_id"] and row["model"] and row["answer"] and _number(row["n_pairs"]) is not None):
            raise InputError(f"Line {number} of the frame {path} cannot be read.")
        rows.append({name: row[name] for name in _FRAME} | {"n_pairs": _number(row["n_pairs"])})
    return CALIBRATION_FRAME.conform(pl.DataFrame(rows, schema=CALIBRATION_FRAME.schema))


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number (the header is 1) and what stands there, as text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"The labels {path} cannot be read: {error}.") from error
    reader = csv.DictReader(text.splitlines()[:_MAX_LINES], delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}.",
            remedy=f"Write a TSV with the columns {', '.join(needed)}.",
        )
    for row in reader:
        # A short line leaves None, a long one a list under the key None.
        texts = {name: value.strip() for name, value in row.items() if isinstance(value, str)}
        yield reader.line_num, {name: texts.get(name, "") for name in (*needed, "reason")}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def _label(row: Mapping[str, str]) -> dict[str, Any] | None:
    """A row of `calibration_labels`, or None where the line cannot be read."""
    label: dict[str, Any] = {
        **{name: row[name] for name in ("prompt_id", "model", "statement", "target_kind_id", "annotator")},
        "position": _number(row["position"]),
        "draw": _number(row["draw"]),
        "holds": _TRUTH.get(row["holds"]),
        "fit": _FITS.get(row["fit"]),
    }
    is_whole = all(value not in {None, ""} for value in label.values())
    is_short = all(len(text) <= _MAX_CHARS for text in row.values())
    if not (is_whole and is_short and len(label["prompt_id"]) >= MIN_PROMPT_CHARS):
        return None
    return label | {"reason": row["reason"] or None}


def answer_keys(mapped: pl.DataFrame) -> pl.DataFrame:
    """One row an answer: response_id, prompt_id, model, n_pairs, and the key of all its pairs, `answer`.

    The key changes with a statement, a target, or their number, so an answer that was asked or mapped anew is
    not the one the sample was drawn from.

    Args:
        mapped: Table `mapped_relations`.
    """
    ordered = mapped.sort("response_id", "position", "target_kind_id")
    texts = ordered.select("relation_type", "rationale", "product", "explanation")
    said = pl.Series("said", [statement_key(*row) for row in texts.iter_rows()], dtype=pl.String)
    parts = pl.concat_str("position", said, "target_kind_id", separator=" ")
    grouped = ordered.with_columns(pair=parts).group_by("response_id", maintain_order=True)
    answers = grouped.agg(pl.col("prompt_id", "model").first(), pl.col("pair"), n_pairs=pl.len())
    keys = [
        content_key("answer", prompt, model, *pairs, length=16)
        for prompt, model, pairs in answers.select("prompt_id", "model", "pair").iter_rows()
    ]
    return answers.drop("pair").with_columns(answer=pl.Series(keys, dtype=pl.String))


def frame_of(mapped: pl.DataFrame) -> pl.DataFrame:
    """Table `calibration_frame` of all pairs of today: what a sample that is drawn now is drawn from."""
    return CALIBRATION_FRAME.conform(answer_keys(mapped))


def join_calibration(
    labels: pl.DataFrame, frame: pl.DataFrame, mapped: pl.DataFrame, *, tuning_draws: int = 0
) -> CalibrationSet:
    """The sample as verdicts on the pairs that are there now.

    Args:
        labels: Table `calibration_labels`.
        frame: Table `calibration_frame`; empty: it was not stated, and nothing is in it.
        mapped: Table `mapped_relations` of all categories.
        tuning_draws: Draws below this number train and tune.
    """
    drawn = sorted(set(labels["draw"]))
    n_drawn = next((place for place, draw in enumerate(drawn) if place != draw), len(drawn))
    sample = labels.filter(pl.col("draw") < n_drawn)
    found = _found(sample, mapped)
    answers = answer_keys(mapped)
    kept = answers.filter(pl.col("answer").is_in(frame["answer"].to_list()))
    unused = {
        "after_an_unjudged_draw": labels.height - sample.height,
        "pair_not_there": sample.height - found.height,
    }
    return CalibrationSet(
        pairs=_verdicts(found, tuning_draws),
        in_frame=frozenset(kept["answer"]),
        n_labels=labels.height,
        n_drawn=n_drawn,
        unused={reason: n for reason, n in unused.items() if n},
        agreement_holds=_agreement(found, "holds"),
        agreement_fit=_agreement(found.with_columns(fits=pl.col("fit") > 0), "fits"),
        sample=_key(sample.filter(pl.col("draw") >= tuning_draws)),
    )


def _key(certifying: pl.DataFrame) -> str:
    rows = certifying.sort(CALIBRATION_LABELS.key).select("draw", "annotator", "holds", "fit").rows()
    return content_key("sample", *map(repr, rows)) if rows else ""


def with_tuning(labelled: pl.DataFrame, pairs: pl.DataFrame, relations: pl.DataFrame) -> pl.DataFrame:
    """The table `labelled_relations` with what the tuning part of the sample says of statements.

    Where both speak of one, it holds if both say so.

    Args:
        labelled: Table `labelled_relations`.
        pairs: Table `calibration_pairs`.
        relations: Table `relations` or `mapped_relations`.
    """
    if not pairs["tunes"].any():
        return labelled
    source = pl.coalesce("source_kind_id", pl.concat_str(pl.lit("purpose:"), "rationale_id"))
    about = relations.unique("relation_id").select("relation_id", "model", source=source)
    tuning = (
        pairs.filter("tunes")
        .group_by("relation_id")
        .agg(
            holds=pl.col("holds").all(),
            reason=pl.col("reason").drop_nulls().sort().first(),
            n_labels=pl.col("n_labels").sum(),
            is_conflicting=pl.col("holds").n_unique() > 1,
            teaches=pl.lit(value=True),
            wrong_target_ids=pl.lit([], pl.List(pl.String)),
        )
    )
    said = pl.concat([labelled, LABELLED_RELATIONS.conform(tuning.join(about, on="relation_id"))])
    return LABELLED_RELATIONS.conform(
        said.group_by("relation_id", maintain_order=True).agg(
            pl.col("model", "source").first(),
            pl.col("holds").all(),
            pl.col("reason").drop_nulls().first(),
            pl.col("n_labels").sum(),
            is_conflicting=pl.col("is_conflicting").any() | (pl.col("holds").n_unique() > 1),
            teaches=pl.col("teaches").all(),
            wrong_target_ids=pl.col("wrong_target_ids").list.explode().drop_nulls().unique().sort(),
        )
    )


def _found(sample: pl.DataFrame, mapped: pl.DataFrame) -> pl.DataFrame:
    """The labels with the relation_id of their pair; a pair whose wording changed is not there."""
    texts = mapped.select("relation_type", "rationale", "product", "explanation")
    said = pl.Series("statement", [statement_key(*row) for row in texts.iter_rows()], dtype=pl.String)
    start = pl.col("prompt_id").str.slice(0, MIN_PROMPT_CHARS).alias("start")
    columns = ("model", "position", "target_kind_id")
    named = mapped.select("relation_id", *columns, start, said, full_id="prompt_id")
    joined = sample.with_columns(start).join(named, on=["start", *columns, "statement"], how="inner")
    whole = joined.filter(pl.col("full_id").str.starts_with(pl.col("prompt_id")))
    # Samples of one model that say the same at one place are one pair for a label: the first of them.
    key = [*CALIBRATION_LABELS.key]
    return whole.sort("relation_id").unique(key, keep="first", maintain_order=True)


def _verdicts(found: pl.DataFrame, tuning_draws: int) -> pl.DataFrame:
    is_right = pl.col("holds") & (pl.col("fit") > 0)
    verdicts = found.group_by("relation_id", "target_kind_id").agg(
        pl.col("draw").first(),
        holds=pl.col("holds").all(),
        fit=pl.col("fit").min(),
        is_right=is_right.all(),
        reason=pl.col("reason").drop_nulls().sort().first(),
        n_labels=pl.len(),
        is_conflicting=is_right.n_unique() > 1,
        tunes=pl.col("draw").first() < tuning_draws,
    )
    return CALIBRATION_PAIRS.conform(verdicts)


def _agreement(found: pl.DataFrame, verdict: str) -> Agreement:
    shared = found.filter(pl.len().over("relation_id", "target_kind_id") > 1)
    pairs = pairwise(shared, ["relation_id", "target_kind_id"], verdict)
    share = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
    return Agreement(len(pairs), share, cohens_kappa(pairs))
