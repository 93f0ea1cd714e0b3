"""What a recommender answers: products, each with the paths that explain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


@dataclass(frozen=True, slots=True)
class Path:
    """Why a product is recommended: seed SKU -> its kind -> rationale -> recommended SKU.

    Attributes:
        seed_sku: The SKU it starts from; None where it starts from the purpose itself.
        relation_type: Type of the statement that is shown.
        explanation: The sentence of that statement, as the model put it.
        probability: Share 0-1 that the statements of this path hold.
        relation_id: The surest statement; `edge` leads to all of them.
        is_reversed: The statement was made about the recommended kind and is read backwards.
        via_relation_id: Where two kinds were named for one purpose: the statement about the seed's kind.
        edge: Row of the edge in the snapshot; Graph.statements(edge) is its provenance.
    """

    seed_sku: str | None
    seed_kind: str | None
    rationale: str
    rationale_id: str
    relation_type: str
    explanation: str
    probability: float
    relation_id: str
    is_reversed: bool
    via_relation_id: str | None
    edge: int


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommended product.

    Attributes:
        score: Share 0-1, the noisy-or of all paths from all seeds; answers are sorted by it.
        probability: Probability of the heaviest path.
        paths: The heaviest path of every seed that leads here, heaviest first.
    """

    sku: str
    title: str
    kind: str
    category: str
    price: float | None
    score: float
    probability: float
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path:
        return self.paths[0]


class _ItemsWhenRead:
    """The kernel leaves `items` empty until they are read: their texts take longer than finding them."""

    __slots__ = ("_later",)

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            if name != "items":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            items = self._later.items()
            object.__setattr__(self, "items", items)
            return items


@dataclass(frozen=True, slots=True)
class Recommendations(_ItemsWhenRead):
    """An answer.

    Its snapshot stays mapped for as long as it lives.

    Attributes:
        items: Best first; ties by SKU. Made when they are first read, where a damaged snapshot raises
            SnapshotDamaged.
        unknown_skus: Seeds that the snapshot does not know, as given.
        rationales: Rationales that the asked purpose was resolved to; empty where none fits.
        snapshot_id: The graph that answered, wholly.
    """

    items: tuple[Recommendation, ...]
    unknown_skus: tuple[str, ...]
    rationales: tuple[str, ...]
    snapshot_id: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """A rationale of the graph.

    Attributes:
        n_kinds: Kinds that serve it.
        is_asked: A model was asked about it directly, rather than naming it as the reason of a relation.
    """

    rationale_id: str
    rationale: str
    n_kinds: int
    is_asked: bool


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalog."""

    sku: str
    title: str
    kind: str
    category: str
    price: float | None


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found by words.

    Attributes:
        what: "product", "kind" or "purpose".
        id: SKU, kind_id or rationale_id.
        score: Comparable within one answer only.
    """

    what: str
    id: str
    title: str
    kind: str | None
    category: str | None
    score: float
