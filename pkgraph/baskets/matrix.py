"""Baskets as a sparse matrix of baskets and kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, slots=True)
class BasketMatrix:
    """Which basket holds which kind.

    Attributes:
        held: Sparse float32 of shape (n_baskets, n_kinds), 1 where the basket holds a product of the kind.
        kind_ids: Kind of each column, sorted.
        baskets: Id of each row, sorted.
        n_unknown_lines: Lines whose product the catalog lacks; they are in no cell.
    """

    held: csr_matrix
    kind_ids: tuple[str, ...]
    baskets: pl.Series
    n_unknown_lines: int

    @property
    def n_baskets(self) -> int:
        return self.baskets.len()

    @property
    def counts(self) -> NDArray[np.int64]:
        """Baskets that hold each kind, shape (n_kinds,)."""
        columns: NDArray[np.int32] = self.held.indices
        return np.bincount(columns, minlength=len(self.kind_ids)).astype(np.int64)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Kinds in each basket, shape (n_baskets,)."""
        starts: NDArray[np.int32] = self.held.indptr
        return np.diff(starts).astype(np.int64)


def basket_matrix(products: pl.DataFrame, lines: pl.DataFrame) -> BasketMatrix:
    """Baskets by kinds; a basket without one product that the catalog knows is no row.

    Args:
        products: Table `products`.
        lines: Table `basket_lines`.
    """
    from scipy.sparse import csr_matrix  # noqa: PLC0415  (0.2 s that reading baskets does without)

    joined = lines.select("basket", "sku").join(products.select("sku", "kind_id"), on="sku", how="left")
    known = joined.drop_nulls("kind_id")
    cells = known.with_columns(
        row=pl.col("basket").rank("dense") - 1, column=pl.col("kind_id").rank("dense") - 1
    ).unique(["row", "column"])
    cells = cells.sort("row", "column")
    rows, columns = cells["row"].to_numpy(), cells["column"].to_numpy()
    baskets = cells["basket"].unique(maintain_order=True)
    kind_ids = tuple(cells["kind_id"].unique().sort())
    ones = np.ones(cells.height, dtype=np.float32)
    held = csr_matrix((ones, (rows, columns)), shape=(baskets.len(), len(kind_ids)))
    return BasketMatrix(held, kind_ids, baskets, joined.height - known.height)
