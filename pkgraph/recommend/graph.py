"""The recommender: a published graph that answers with products and reasons.

graph = Graph.published(Path(".pkgraph/graph"))
for item in graph.recommend(["1082185"], k=5).items:
    print(item.title, "because", item.path.explanation)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError
from pkgraph.model import RelationType
from pkgraph.recommend.answers import Hit, Product, Purpose, Recommendation, Recommendations
from pkgraph.recommend.explaining import Source, explained, product_at
from pkgraph.recommend.picking import Available, Picker
from pkgraph.recommend.purposes import all_purposes, resolve_purpose
from pkgraph.recommend.ranking import Filter, arrivals_by_paths, arrivals_by_rows
from pkgraph.recommend.search import WHAT, search
from pkgraph.snapshot import Snapshot, open_published
from pkgraph.snapshot.layout import MAX_ROW, Sections

if TYPE_CHECKING:
    from pkgraph.snapshot import Manifest, Statement

MAX_K = 1000
MAX_SEEDS = 100


@dataclass(frozen=True, slots=True)
class Graph:
    """A snapshot that recommends."""

    snapshot: Snapshot

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

    @property
    def _sections(self) -> Sections:
        return self.snapshot.sections

    def recommend(
        self,
        skus: Sequence[str] = (),
        *,
        k: int = 10,
        purpose: str | None = None,
        exclude: Iterable[str] = (),
        available: Available | None = None,
        relation_types: Iterable[str] | None = None,
        min_probability: float = 0.0,
        max_per_kind: int = 1,
        max_per_phrase: int = 1,
        include_seed_kinds: bool = False,
    ) -> Recommendations:
        """Products that belong with the seeds, or serve the purpose, or both.

        Args:
            skus: What the shopper looks at or has in the basket. Unknown ones are named in the answer.
            k: How many products at most.
            purpose: A rationale in words; it counts as one more seed.
            exclude: SKUs that must not appear.
            available: SKUs in stock, or a function that knows; None: all are.
            relation_types: Count only these; None: all.
            min_probability: Count only paths whose statements hold with this probability, share 0-1.
            max_per_kind: Products of one kind at most, the most popular first.
            max_per_phrase: Kinds at most that one product phrase of a model was resolved to.
            include_seed_kinds: Recommend other products of the seeds' own kinds too.

        Raises:
            InputError: An argument is outside its range; nothing was looked up.
        """
        wanted = _checked(skus, k, relation_types, min_probability, min(max_per_kind, max_per_phrase))
        rows = {sku: self._sections.sku_ids.find(sku) for sku in skus}
        rationales = resolve_purpose(self._sections, purpose) if purpose is not None else []
        sources = self._sources(rows, rationales)
        picker = Picker(
            sections=self._sections,
            hidden=frozenset({*rows, *exclude}),
            hidden_kinds=frozenset() if include_seed_kinds else frozenset(source.node for source in sources),
            available=available,
            max_per_kind=max_per_kind,
            max_per_phrase=max_per_phrase,
        )
        return Recommendations(
            items=self._items(sources, k, wanted, picker),
            unknown_skus=tuple(sku for sku, row in rows.items() if row < 0),
            rationales=tuple(self._sections.rationale_texts[row] for row in rationales),
            snapshot_id=self.snapshot_id,
        )

    def recommend_json(self, skus: Sequence[str] = (), *, k: int = 10, **options: Any) -> bytes:
        """The whole answer of `recommend` with the same arguments, as one finished JSON object in UTF-8.

        {"snapshot_id":"1f0c2b7d9a3e","items":[{"sku":"f1",...}],"unknown_skus":[],"rationales":[]}

        Items and paths have the fields of Recommendation and Path, in that order, without white space.
        `knows` says beforehand whether a SKU is known.

        Raises:
            InputError: An argument is outside its range; nothing was looked up.
        """
        answer = self.recommend(skus, k=k, **options)
        body = {
            "snapshot_id": answer.snapshot_id,
            "items": [asdict(item) for item in answer.items],
            "unknown_skus": answer.unknown_skus,
            "rationales": answer.rationales,
        }
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="replace")  # half a character in an unknown SKU

    def knows(self, sku: str) -> bool:
        """Whether the snapshot holds this SKU."""
        return self._sections.sku_ids.find(sku) >= 0

    def _sources(self, rows: dict[str, int], rationales: list[int]) -> list[Source]:
        """One source a kind: two seeds of one kind say no more than one."""
        by_kind: dict[int, str] = {}
        for sku, row in rows.items():
            if row >= 0:
                by_kind.setdefault(int(self._sections.sku_kind[row]), sku)
        kinds = [Source(kind, by_kind[kind]) for kind in sorted(by_kind)]
        return kinds + [Source(len(self._sections.kind_ids) + row, None) for row in rationales]

    def _items(
        self, sources: list[Source], k: int, wanted: Filter, picker: Picker
    ) -> tuple[Recommendation, ...]:
        """From merged rows where they can answer, from all paths where they cannot."""
        nodes = [source.node for source in sources]
        if wanted.lets_all_pass and k <= MAX_ROW:
            arrivals = arrivals_by_rows(self._sections, nodes)
            picked = picker.pick(arrivals, k)
            if len(picked) == k or not arrivals.is_cut:
                return tuple(explained(self._sections, sources, arrivals, pick) for pick in picked)
        arrivals = arrivals_by_paths(self._sections, nodes, wanted)
        picked = picker.pick(arrivals, k)
        return tuple(explained(self._sections, sources, arrivals, pick) for pick in picked)

    def product(self, sku: str) -> Product | None:
        """One product of the catalog; None where the snapshot does not know it."""
        row = self._sections.sku_ids.find(sku)
        return product_at(self._sections, row) if row >= 0 else None

    def statements(self, edge: int) -> tuple[Statement, ...]:
        """What the models said that became this edge, surest first."""
        return self.snapshot.statements(edge)

    def purposes(self) -> tuple[Purpose, ...]:
        """Every rationale of the graph, the most widely served first, ties by its words."""
        return all_purposes(self._sections)

    def rationale(self, rationale_id: str) -> str | None:
        """The words of a rationale; None where the snapshot does not know it."""
        row = self._sections.rationale_ids.find(rationale_id)
        return self._sections.rationale_texts[row] if row >= 0 else None

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
        if not 1 <= k <= MAX_K:
            raise InputError(f"k is {k}, it must lie between 1 and {MAX_K}.")
        if what is not None and what not in WHAT:
            raise InputError(
                f"There is nothing like {what} to search for.", remedy=f"One of {', '.join(WHAT)}."
            )
        return search(self._sections, text, k, what)


def _checked(
    skus: Sequence[str],
    k: int,
    relation_types: Iterable[str] | None,
    min_probability: float,
    at_most: int,
) -> Filter:
    types = None if relation_types is None else frozenset(str(name) for name in relation_types)
    unknown = sorted((types or frozenset()) - {str(name) for name in RelationType})
    faults = {
        f"k is {k}, it must lie between 1 and {MAX_K}": not 1 <= k <= MAX_K,
        f"{len(skus)} seeds were given, {MAX_SEEDS} are allowed": len(skus) > MAX_SEEDS,
        "seeds are a list of SKUs, not one text": isinstance(skus, str),
        f"min_probability is {min_probability}, it is a share 0-1": not 0 <= min_probability <= 1,
        f"max_per_kind and max_per_phrase must be at least 1, one is {at_most}": at_most < 1,
        f"there is no relation type {', '.join(unknown)}": bool(unknown),
    }
    broken = [sentence for sentence, is_broken in faults.items() if is_broken]
    if broken:
        remedy = f"Relation types: {', '.join(RelationType)}." if unknown else ""
        raise InputError(f"{'; '.join(broken)}.", remedy=remedy)
    return Filter(types, min_probability)
