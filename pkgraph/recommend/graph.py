"""The recommender: a published graph that answers with products and reasons.

graph = Graph.published(Path(".pkgraph/graph"))
for item in graph.recommend(["1082185"], k=5).items:
    print(item.title, "because", item.path.explanation)
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, TypedDict, Unpack

from pkgraph.errors import InputError
from pkgraph.recommend.compiled import JSON, RECORDS, engine_for
from pkgraph.recommend.in_stock import InStock, in_stock_of
from pkgraph.recommend.purposes import all_purposes, resolve_purpose
from pkgraph.recommend.question import (
    ALL_TYPES,
    MAX_K,
    MAX_SEEDS,
    Asked,
    Available,
    Simple,
    check,
    listed,
    prices_of,
    steps_of,
    types_of,
)
from pkgraph.snapshot.arrays import read_in
from pkgraph.snapshot.commits import open_published
from pkgraph.snapshot.reader import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from pkgraph.recommend.answers import Hit, Product, Purpose, Recommendations
    from pkgraph.recommend.compiled import CompiledEngine
    from pkgraph.recommend.plain import PlainEngine
    from pkgraph.snapshot import Manifest, Statement

__all__ = ["MAX_K", "MAX_SEEDS", "Graph"]

DEFAULT_K = 10
_ONLY_K = {"k"}
_LOADED_LATER = ("pkgraph.recommend.plain", "pkgraph.recommend.search")
"""What needs NumPy; with these two all of it is loaded."""


class Options(TypedDict, total=False):
    """The keyword arguments of `Graph.recommend`, which says what they mean.

    They come as one dictionary: fourteen parameters of its own cost `recommend` half a microsecond a call.
    """

    k: int
    weights: Sequence[float] | None
    purpose: str | None
    exclude: Iterable[str]
    available: Available | None
    relation_types: Iterable[str] | None
    categories: Iterable[str] | None
    min_price: float | None
    max_price: float | None
    min_probability: float
    max_per_kind: int
    max_per_phrase: int
    include_seed_kinds: bool
    diversity: float


DEFAULTS: Options = {
    "k": DEFAULT_K,
    "weights": None,
    "purpose": None,
    "exclude": (),
    "available": None,
    "relation_types": None,
    "categories": None,
    "min_price": None,
    "max_price": None,
    "min_probability": 0.0,
    "max_per_kind": 1,
    "max_per_phrase": 1,
    "include_seed_kinds": False,
    "diversity": 0.0,
}


@dataclass(frozen=True, slots=True)
class Graph:
    """A snapshot that recommends.

    Opening it and asking about SKUs and purposes does not load NumPy where the compiled kernel answers. Words
    that are no purpose's own, diversity, search, products and statements load it the first time; `warm` does
    so beforehand.
    """

    snapshot: Snapshot
    _engine: CompiledEngine | PlainEngine = field(init=False, repr=False, compare=False)
    _simple: Simple = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        engine = engine_for(self.snapshot)
        object.__setattr__(self, "_engine", engine)
        object.__setattr__(self, "_simple", engine.simple)

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Graph:
        """Open a snapshot's folder; see Snapshot.open."""
        return cls(Snapshot.open(path, verify=verify))

    @classmethod
    def published(cls, root: Path, *, verify: bool = False) -> Graph:
        """Open the newest published snapshot; see pkgraph.snapshot.open_published."""
        return cls(open_published(root, verify=verify))

    @property
    def snapshot_id(self) -> str:
        return self.snapshot.snapshot_id

    @property
    def manifest(self) -> Manifest:
        return self.snapshot.manifest

    def recommend(self, skus: Sequence[str] = (), **options: Unpack[Options]) -> Recommendations:
        """Products that belong with the seeds, or serve the purpose, or both.

        Args:
            skus: What the shopper looks at or has in the basket. Unknown ones are named in the answer.
            k: How many products at most, 10 where it is not given.
            weights: How much each seed counts, above 0 and at most 16; None: each counts 1. A seed of weight
                2 counts as two with the same relations.
            purpose: A rationale in words; it counts as one more seed of weight 1.
            exclude: SKUs that must not appear.
            available: SKUs in stock, or a function that knows; None: all are.
            relation_types: Count only these; None: all.
            categories: Only products of these categories, by title; None: all. Unknown ones hold nothing.
            min_price: Only products at this price or above; one without a price has none.
            max_price: Only products at this price or below.
            min_probability: Count only paths whose statements hold with this probability, share 0-1.
            max_per_kind: Products of one kind at most, the most popular first; 1 where it is not given.
            max_per_phrase: Kinds at most that one product phrase of a model was resolved to; 1 likewise.
            include_seed_kinds: Recommend other products of the seeds' own kinds too.
            diversity: Share 0-1 by which being unlike what was chosen counts instead of the score (maximal
                marginal relevance over the best 4 k); the order is then that of choosing.

        Raises:
            InputError: An argument is outside its range; nothing was looked up.
            SnapshotDamaged: The snapshot names what it does not hold.
        """
        if not options or options.keys() == _ONLY_K:
            found: Recommendations | None = self._simple(RECORDS, skus, options.get("k", DEFAULT_K))
            if found is not None:
                return found
        return self._engine.answer(self._asked(skus, options), options.get("diversity", 0.0))

    def recommend_json(self, skus: Sequence[str] = (), **options: Unpack[Options]) -> bytes:
        """The whole answer of `recommend` with the same arguments, as one finished JSON object in UTF-8.

        {"snapshot_id":"1f0c2b7d9a3e","items":[{"sku":"f1",...}],"unknown_skus":[],"rationales":[]}

        Items and paths have the fields of Recommendation and Path, in that order, without white space.
        `knows` says beforehand whether a SKU is known.

        Raises:
            InputError: An argument is outside its range; nothing was looked up.
            SnapshotDamaged: The snapshot names what it does not hold.
        """
        if not options or options.keys() == _ONLY_K:
            found: bytes | None = self._simple(JSON, skus, options.get("k", DEFAULT_K))
            if found is not None:
                return found
        return self._engine.answer_json(self._asked(skus, options), options.get("diversity", 0.0))

    def _asked(self, skus: Sequence[str], options: Options) -> Asked:
        o: Options = {**DEFAULTS, **options}
        if len(o) != len(DEFAULTS):
            unknown = sorted(o.keys() - DEFAULTS.keys())
            raise TypeError(
                f"There is no option {', '.join(unknown)}; the options are {', '.join(DEFAULTS)}."
            )
        check(skus, o["k"], o["min_probability"], o["diversity"], o["max_per_kind"], o["max_per_phrase"])
        weights, purpose, types = o["weights"], o["purpose"], o["relation_types"]
        fields = (
            tuple(skus),  # a caller's list may change while a stock function is asked
            None if weights is None else steps_of(weights, len(skus)),
            () if purpose is None else resolve_purpose(self.snapshot, purpose),
            o["k"],
            ALL_TYPES if types is None else types_of(types),
            o["min_probability"],
            self._categories(o["categories"]),
            prices_of(o["min_price"], o["max_price"]),
            tuple(listed(o["exclude"], "exclude")),
            _looked_up(o["available"]),
            o["max_per_kind"],
            o["max_per_phrase"],
            o["include_seed_kinds"],
        )
        return Asked._make(fields)  # half a microsecond less than by name

    def _categories(self, titles: Iterable[str] | None) -> frozenset[int] | None:
        if titles is None:
            return None
        find = self.snapshot.texts("category_names").find
        return frozenset(find(title) for title in listed(titles, "categories")) - {-1}

    def knows(self, sku: str) -> bool:
        """Whether the snapshot holds this SKU."""
        return self._engine.row_of(sku) >= 0

    def in_stock(self, skus: Iterable[str]) -> InStock:
        """SKUs in stock, held small; its `holds` is the `available` of this graph, and of no other."""
        return in_stock_of(self._engine.row_of, self.snapshot.n_skus, skus)

    def warm(self) -> int:
        """Load NumPy and read the whole snapshot into memory.

        After this no request waits for an import, for the disk or for a page's first use.

        Returns:
            Bytes that lie ready.
        """
        for module in _LOADED_LATER:
            import_module(module)
        from pkgraph.snapshot.layout import to_arrays

        for values in self.snapshot.buffers.values():
            read_in(values)
        arrays = to_arrays(self.snapshot.sections).values()
        for array in arrays:
            array.view("<u1")[:: mmap.PAGESIZE].max(initial=0)  # any() would stop early
        return sum(array.nbytes for array in arrays)

    def product(self, sku: str) -> Product | None:
        """One product of the catalog; None where the snapshot does not know it."""
        from pkgraph.recommend.explaining import product_at

        row = self._engine.row_of(sku)
        return product_at(self.snapshot.sections, row) if row >= 0 else None

    def statements(self, edge: int) -> tuple[Statement, ...]:
        """What the models said that became this edge, surest first.

        Raises:
            InputError: There is no such edge.
        """
        return self.snapshot.statements(edge)

    def purposes(self, limit: int | None = None, offset: int = 0) -> tuple[Purpose, ...]:
        """Rationales of the graph, the most widely served first, ties by their words.

        Args:
            limit: How many at most; None: all.
            offset: How many to pass over.

        Raises:
            InputError: One of them is negative.
        """
        if offset < 0 or (limit or 0) < 0:
            raise InputError(f"limit is {limit} and offset {offset}; neither may be negative.")
        found = all_purposes(self.snapshot, offset)
        return tuple(found if limit is None else islice(found, limit))

    def rationale(self, rationale_id: str) -> str | None:
        """The words of a rationale; None where the snapshot does not know it."""
        row = self.snapshot.texts("rationale_ids").find(rationale_id)
        return self.snapshot.texts("rationale_texts")[row] if row >= 0 else None

    def search(self, text: str, k: int = 10, *, what: str | None = None) -> tuple[Hit, ...]:
        """Products, kinds and purposes by words or beginnings of words.

        What holds more of the words comes first, then rarer words, then popularity, then the catalog's order.

        Args:
            text: Words.
            k: How many at most.
            what: "product", "kind" or "purpose" alone; None: all.

        Raises:
            InputError: An argument is outside its range.
        """
        from pkgraph.recommend.search import WHAT, search

        if not 1 <= k <= MAX_K:
            raise InputError(f"k is {k}, it must lie between 1 and {MAX_K}.")
        if what is not None and what not in WHAT:
            raise InputError(
                f"There is nothing like {what} to search for.", remedy=f"One of {', '.join(WHAT)}."
            )
        return search(self.snapshot.sections, text, k, what)


def _looked_up(available: Available | None) -> Available | None:
    """A list of SKUs in stock as a set: every candidate is looked up in it."""
    if available is None or callable(available) or isinstance(available, AbstractSet):
        return available
    return frozenset(listed(available, "available"))
