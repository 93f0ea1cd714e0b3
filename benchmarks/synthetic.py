"""A made-up shop of any size, with power-law degrees: what the serving and compiling figures are measured on.

Four SKUs a kind, a rationale for ten SKUs. Sources and targets of relations are drawn so that a few kinds are
in very many relations: of 2 million SKUs and 30 million relations the busiest kind is the target of 40 000.
One relation in a hundred is about one of the purposes that were asked about, a hundredth of the rationales.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from pkgraph.model import GateReport
from pkgraph.snapshot import publish
from pkgraph.snapshot.compile import compile_graph

SEED = 0
SKUS_A_KIND, SKUS_A_RATIONALE = 4, 10
STATEMENTS_AN_ANSWER, ANSWERS_A_PROMPT = 20, 2
SOURCE_SKEW, TARGET_SKEW = 1.5, 2.0
ROWS_A_FILE = 1_000_000
TYPES = ("complement", "ingredient", "accessory", "occasion", "audience", "substitute")
WORDS = ("red", "small", "fresh", "family", "organic", "light", "dark", "round", "classic", "spring", "mild")


def _keys(numbers: np.ndarray, salt: int) -> pl.Series:
    """Ids like content keys: twelve hexadecimal characters, in no order."""
    mixed = ((numbers.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(16)
    return pl.Series([f"{value:012x}" for value in mixed.tolist()])


class Shop:
    """Products and accepted relations of a made-up shop."""

    def __init__(self, n_skus: int, n_relations: int) -> None:
        self.n_skus, self.n_relations = n_skus, n_relations
        self.n_kinds, self.n_rationales = n_skus // SKUS_A_KIND, n_skus // SKUS_A_RATIONALE
        self.kind_ids = _keys(np.arange(self.n_kinds), 0)
        self.rationale_ids = _keys(np.arange(self.n_rationales), 1 << 40)

    def products(self) -> pl.DataFrame:
        """Frame of the table PRODUCTS."""
        rows = np.arange(self.n_skus)
        kind = rows % self.n_kinds
        random = np.random.default_rng(SEED)
        words = np.array(WORDS)[random.integers(0, len(WORDS), self.n_skus)]
        frame = pl.DataFrame(
            {
                "sku": rows + 10_000_000,
                "kind": kind,
                "word": words,
                "category": kind % 300,
                "popularity": random.random(self.n_skus) ** 4 / 10,
                "price": np.round(random.random(self.n_skus) * 50, 2),
            }
        )
        return frame.select(
            pl.col("sku").cast(pl.String),
            pl.format("{} thing {} of {} OZ", "word", "kind", pl.col("sku") % 32).alias("title"),
            self.kind_ids.gather(kind).alias("kind_id"),
            pl.format("thing {}", "kind").alias("kind"),
            pl.format("shelf {}", "category").alias("category"),
            pl.format("shelf-{}", "category").alias("category_key"),
            pl.lit(None, pl.String).alias("department"),
            pl.lit(None, pl.String).alias("brand"),
            "price",
            "popularity",
        )

    def _relations(self, first: int, n: int) -> pl.DataFrame:
        random = np.random.default_rng([SEED, first])
        source = (self.n_kinds * random.random(n) ** SOURCE_SKEW).astype(np.int64)
        target = (self.n_kinds * random.random(n) ** TARGET_SKEW).astype(np.int64) * 7 % self.n_kinds
        rationale = (self.n_rationales * random.random(n) ** 1.2).astype(np.int64)
        is_asked = random.random(n) < 0.01
        rationale[is_asked] %= max(1, self.n_rationales // 100)
        place = first + np.arange(n)
        answer = place // STATEMENTS_AN_ANSWER
        frame = pl.DataFrame(
            {
                "source": source,
                "target": target,
                "rationale_number": rationale,
                "answer": answer,
                "position": (place % STATEMENTS_AN_ANSWER).astype(np.int32),
                "relation_type": np.array(TYPES)[random.integers(0, len(TYPES), n)],
                "probability": np.round(0.5 + random.random(n) / 2, 4),
                "stated_confidence": np.round(random.random(n), 2),
                "match_score": np.round(0.8 + random.random(n) / 5, 3),
                "is_asked": is_asked,
            }
        )
        sources = self.kind_ids.gather(source).alias("source_kind_id")
        return frame.select(
            pl.format("answer-{}", "answer").alias("response_id"),
            pl.format("prompt-{}", pl.col("answer") // ANSWERS_A_PROMPT).alias("prompt_id"),
            pl.format("model-{}", pl.col("answer") % 2).alias("model"),
            "position",
            pl.when(~pl.col("is_asked")).then(sources).alias("source_kind_id"),
            "relation_type",
            pl.format("purpose {}", "rationale_number").alias("rationale"),
            self.rationale_ids.gather(rationale).alias("rationale_id"),
            pl.format("thing {}", "target").alias("product"),
            pl.format(
                "For purpose {} thing {} goes well with thing {}.", "rationale_number", "source", "target"
            ).alias("explanation"),
            self.kind_ids.gather(target).alias("target_kind_id"),
            "stated_confidence",
            "match_score",
            "probability",
        )

    def write_relations(self, folder: Path) -> pl.LazyFrame:
        """The columns of ACCEPTED_RELATIONS that are compiled, as Parquet files; a scan of them."""
        folder.mkdir(parents=True, exist_ok=True)
        for first in range(0, self.n_relations, ROWS_A_FILE):
            path = folder / f"{first // ROWS_A_FILE:05d}.parquet"
            if not path.exists():
                self._relations(first, min(ROWS_A_FILE, self.n_relations - first)).write_parquet(path)
        return pl.scan_parquet(folder / "*.parquet")

    def publish(self, root: Path, relations: Path) -> None:
        """Compile and publish it at a root; its relations lie in a folder, written where they are not yet."""
        compiled = compile_graph(self.products(), self.write_relations(relations))
        content = GateReport({"made_up": self.n_relations})
        publish(
            root,
            compiled,
            inputs={"made_up": True},
            judge=lambda _: content,
            created_at="2026-11-25T00:00:00Z",
        )
