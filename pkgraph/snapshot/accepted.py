"""Accepted relations as columns of numbers, and the tables of texts that these name.

Texts of 30 million rows do not fit beside their numbers: the widest column alone takes 2.3 GB. So each column
of texts is read alone and leaves its number in a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pkgraph.errors import InputError
from pkgraph.snapshot.coding import numbered
from pkgraph.snapshot.format import RELATION_TYPES
from pkgraph.snapshot.layout import Array
from pkgraph.snapshot.threads import threads


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers in the order of their ids, and the prompt and model of each."""

    ids: pl.Series
    prompts: pl.Series
    prompt: Array
    models: pl.Series
    model: Array


def read_columns(
    accepted: pl.LazyFrame, kinds: pl.DataFrame
) -> tuple[dict[str, Array], Answers, pl.DataFrame, pl.Series]:
    """Every accepted row as numbers, in its place, and the tables that they name.

    Args:
        accepted: The table ACCEPTED_RELATIONS.
        kinds: kind_id and its row.

    Returns:
        Column to an array with an entry a row: rows of kinds in source and target, -1 for an unknown one, and
        the number of kinds for a source that is none; in type the place in RELATION_TYPES, -1 likewise; in
        rationale, response and phrase the row of the tables that follow; others as they are, and
        sentence_bytes, the length of the explanation in UTF-8. Then the answers, the rationales
        (rationale_id, rationale) and the phrases, each in order.

    Raises:
        InputError: An answer was read under two prompts or models.
    """
    types = pl.DataFrame({"text": [str(name) for name in RELATION_TYPES]}).with_row_index("row")
    places = kinds.select(pl.col("kind_id").alias("text"), "row")
    n_accepted = accepted.select(pl.len()).collect().item()
    with threads(n_accepted) as pool:  # the longest first
        answers = pool.submit(_read_answers, accepted)
        rationales = pool.submit(_read_rationales, accepted)
        numbers = pool.submit(_read_numbers, accepted)
        phrases = pool.submit(lambda: numbered(column_of(accepted, "product")))
        source = pool.submit(_read_places, accepted, "source_kind_id", places, missing=kinds.height)
        target = pool.submit(_read_places, accepted, "target_kind_id", places)
        type_ = pool.submit(_read_places, accepted, "relation_type", types)
    columns = {
        "source": source.result(),
        "target": target.result(),
        "type": type_.result().astype("<i1"),
        "rationale": rationales.result()[1],
        "response": answers.result()[1],
        "phrase": phrases.result()[1],
        **numbers.result(),
    }
    return columns, answers.result()[0], rationales.result()[0], phrases.result()[0]


def column_of(accepted: pl.LazyFrame, name: str) -> pl.Series:
    """One column as texts; of what is lazy, nothing else is read."""
    return accepted.select(pl.col(name).cast(pl.String)).collect(engine="streaming").to_series()


def _read_places(accepted: pl.LazyFrame, name: str, places: pl.DataFrame, missing: int = -1) -> Array:
    """The row of each text in a table of texts and rows, -1 where it is not there, `missing` for null."""
    texts, codes = numbered(column_of(accepted, name))
    rows = texts.to_frame("text").join(places, on="text", how="left", maintain_order="left")["row"]
    row = np.append(rows.cast(pl.Int32).fill_null(-1).to_numpy(), missing).astype("<i4")
    found: Array = row[codes]
    return found


def _read_answers(accepted: pl.LazyFrame) -> tuple[Answers, Array]:
    ids, response = numbered(column_of(accepted, "response_id"))
    prompts, prompt = _read_of_answers(accepted, "prompt_id", ids, response)
    models, model = _read_of_answers(accepted, "model", ids, response)
    return Answers(ids, prompts, prompt, models, model), response


def _read_of_answers(
    accepted: pl.LazyFrame, name: str, ids: pl.Series, response: Array
) -> tuple[pl.Series, Array]:
    """The distinct texts of a column that an answer has one of, and which of them each answer has."""
    texts, codes = numbered(column_of(accepted, name))
    of_answer = np.empty(len(ids), dtype="<i4")
    of_answer[response] = codes
    is_torn = of_answer[response] != codes
    if is_torn.any():
        raise InputError(
            f"The answer {ids[int(response[is_torn].min())]} stands under two prompts or models.",
            remedy="Materialize `relations` again.",
        )
    return texts, of_answer


def _read_rationales(accepted: pl.LazyFrame) -> tuple[pl.DataFrame, Array]:
    """rationale_id and rationale in the order of the ids; of two spellings the first."""
    ids, rationale = numbered(column_of(accepted, "rationale_id"))
    spellings, codes = numbered(column_of(accepted, "rationale"))
    spelling = np.full(len(ids), len(spellings), dtype="<i4")
    np.minimum.at(spelling, rationale, codes)
    return pl.DataFrame({"rationale_id": ids, "rationale": spellings.gather(spelling)}), rationale


def _read_numbers(accepted: pl.LazyFrame) -> dict[str, Array]:
    numbers = accepted.select(
        pl.col("position").cast(pl.Int32),
        pl.col("probability").cast(pl.Float64),
        pl.col("stated_confidence").cast(pl.Float32),
        pl.col("match_score").cast(pl.Float32),
        pl.col("explanation").str.len_bytes().cast(pl.Int32).alias("sentence_bytes"),
    ).collect(engine="streaming")
    return {name: numbers[name].to_numpy() for name in numbers.columns}
