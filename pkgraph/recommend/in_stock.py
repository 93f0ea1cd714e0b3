"""Which SKUs are in stock, as a byte a SKU of the snapshot; a set of texts takes a hundred times as much."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class InStock(NamedTuple):
    """What is in stock of one snapshot.

    Attributes:
        holds: Whether a SKU is in stock; what `Graph.recommend` takes as `available`.
        n_skus: SKUs of the snapshot that are in stock.
    """

    holds: Callable[[str], bool]
    n_skus: int


def in_stock_of(row_of: Callable[[str], int], n_rows: int, skus: Iterable[str]) -> InStock:
    """These SKUs are in stock; what the snapshot does not know is passed over.

    Args:
        row_of: Row of a SKU, -1 where the snapshot does not know it.
        n_rows: SKUs of the snapshot.
        skus: In any order, also twice.
    """
    flags = bytearray(n_rows + 1)  # the last byte, -1, stands for what is unknown
    for sku in skus:
        flags[row_of(sku)] = 1
    flags[-1] = 0

    def holds(sku: str) -> bool:
        return flags[row_of(sku)] == 1

    return InStock(holds, sum(flags))
