from collections.abc import Sequence
from typing import Any, Self

VERSION: int

class Graph:
    def __new__(
        cls,
        arrays: dict[str, Any],
        snapshot_id: str,
        relation_types: tuple[str, ...],
        shares_a_purpose: int,
        max_row: int,
        item: type,
        item_fields: tuple[str, ...],
        path: type,
        path_fields: tuple[str, ...],
        answer: type,
        answer_fields: tuple[str, ...],
        damaged: type[Exception],
    ) -> Self: ...
    def row_of(self, sku: str, /) -> int: ...
    def simple(self, how: int, skus: Sequence[str], k: int, /) -> Any: ...
    def answer(
        self,
        how: int,
        skus: Sequence[str],
        steps: tuple[int, ...] | None,
        rationales: Sequence[int],
        k: int,
        types: int,
        min_probability: float,
        categories: frozenset[int] | None,
        prices: tuple[float, float] | None,
        exclude: Sequence[str],
        available: Any,
        max_per_kind: int,
        max_per_phrase: int,
        include_seed_kinds: bool,
        /,
    ) -> Any: ...

def place_texts(data: Any, starts: Any, offsets: Any, texts: Any, /) -> None: ...
def merge_paths(
    arrays: dict[str, Any], shares_a_purpose: int, max_row: int, first: int, end: int, /
) -> tuple[bytes, ...]: ...
def score_table(n: int, weight_scale: int, /) -> bytes: ...
