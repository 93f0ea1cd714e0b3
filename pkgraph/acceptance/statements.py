"""One row a statement: what the classifier sees of it.

A statement holds or does not, whichever kinds its phrase was resolved to. So the signals of its targets are
averaged, and all its targets get one probability.
"""

from __future__ import annotations

import polars as pl

from pkgraph.evidence import SIGNALS

TEXTS = ("rationale", "product", "explanation")
"""The fields whose words the classifier reads."""


def statements_of(relations: pl.DataFrame, evidence: pl.DataFrame) -> pl.DataFrame:
    """Statements with their mean signals, sorted by relation_id.

    Columns: relation_id, model, source (what the prompt was about; labels are split by it), relation_type,
    the texts, is_mapped, the signals. A signal is null where no target has it.

    Args:
        relations: Table `mapped_relations`, or `relations` to have also what was resolved to nothing.
        evidence: Table `relation_evidence`; a statement without a row in it is left out.
    """
    # Rounded, so that the order of a sum in threads never shows.
    means = [pl.col(name).mean().round(9) for name in SIGNALS]
    is_mapped = pl.col("target_kind_id").is_not_null().any()
    signals = evidence.group_by("relation_id").agg(means, is_mapped=is_mapped)
    source = pl.coalesce("source_kind_id", pl.concat_str(pl.lit("purpose:"), "rationale_id"))
    once = relations.unique("relation_id", keep="first", maintain_order=True)
    texts = once.select("relation_id", "model", source.alias("source"), "relation_type", *TEXTS)
    return texts.join(signals, on="relation_id").sort("relation_id")
