"""How many SKUs a derived kind covers and how pure it is, on made-up catalogs and on the demo's shelf labels.

    python -m benchmarks.kinds [N_TITLES]

Purity is the share of products that are of their kind's most frequent true kind; F1 is over pairs of
products that share a kind.
The generator (`benchmarks.titles`) and the library's list of flavour words have one author: "without the
list" shows what it is worth.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from benchmarks.titles import SHELVES, Titled, catalog_of
from pkgraph.catalog import grouping, read_catalog
from pkgraph.catalog.cleaning import clean
from pkgraph.catalog.naming import with_derived_kind
from pkgraph.model import kind_id
from pkgraph.settings import CatalogSettings

_TEXTS = ("sku", "title", "category", "kind", "department", "brand", "price", "fault", "detail")


def products_of(titles: Iterable[Titled]) -> pl.DataFrame:
    """The made-up catalog as a shop without a column of kinds has it: today's names, nothing joined."""
    rows = [
        {"row": row, "sku": t.sku, "title": t.title, "category": t.category, "brand": t.brand}
        for row, t in enumerate(titles, start=1)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"brand": pl.String}).with_columns(
        pl.lit(None, pl.String).alias(name) for name in _TEXTS if name not in rows[0]
    )
    return clean(with_derived_kind(frame))[0]


def quality(true: Sequence[object], said: Sequence[object]) -> dict[str, float]:
    """Kinds, products a kind, purity, and precision, recall and F1 over pairs of products."""
    both, in_true, in_said = Counter(zip(true, said, strict=True)), Counter(true), Counter(said)
    most = Counter[object]()
    for (_, kind), n in both.items():
        most[kind] = max(most[kind], n)
    pairs = [sum(n * (n - 1) / 2 for n in counted.values()) for counted in (both, in_said, in_true)]
    precision, recall = pairs[0] / max(pairs[1], 1), pairs[0] / max(pairs[2], 1)
    return {
        "kinds": len(in_said),
        "skus_a_kind": len(true) / len(in_said),
        "purity": sum(most.values()) / len(true),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
    }


def _shown(label: str, figures: dict[str, float], seconds: float = 0.0) -> None:
    values = "  ".join(f"{name} {value:8.3f}" for name, value in figures.items())
    print(f"{label:38} {values}  {seconds:5.1f} s")


def _compare(products: pl.DataFrame, true: Sequence[object], budgets: Sequence[int | None]) -> None:
    _shown("names alone", quality(true, products["kind_id"].to_list()))
    for budget in budgets:
        started = time.perf_counter()
        joined = grouping.with_grouped_kinds(products, max_kinds=budget)
        label = "near duplicates joined" if budget is None else f"... and max_kinds = {budget}"
        _shown(label, quality(true, joined["kind_id"].to_list()), time.perf_counter() - started)


def _made_up(n: int, seed: int) -> None:
    titles = catalog_of(n, seed=seed)
    truth = {t.sku: (t.category, t.true_kind) for t in titles}
    products = products_of(titles)
    n_true = sum(map(len, SHELVES.values()))
    print(f"\n{n} made-up titles, seed {seed}, {n_true} true kinds")
    _compare(products, [truth[sku] for sku in products["sku"]], (None, 2 * n_true, n_true))


def _demo() -> None:
    products = read_catalog(CatalogSettings(source="complete_journey")).products
    named = with_derived_kind(products)
    keys = [kind_id(category, kind) for category, kind in named.select("category", "kind").iter_rows()]
    print(
        f"\ndemo shop, {products.height} shelf labels, {products['kind_id'].n_unique()} kinds of the retailer"
    )
    _compare(named.with_columns(kind_id=pl.Series(keys)), products["kind_id"].to_list(), (None, 3830))


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    for seed in (1, 2, 3):
        _made_up(n, seed)
    with_list, grouping.modifiers = grouping.modifiers, frozenset  # type: ignore[attr-defined,assignment]
    print("\nwithout the list of flavour and pack words")
    _made_up(n, 1)
    grouping.modifiers = with_list  # type: ignore[attr-defined]
    _demo()


if __name__ == "__main__":
    main()
