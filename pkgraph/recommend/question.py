"""What may be asked of a graph, checked before anything is looked up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pkgraph.errors import InputError
from pkgraph.model import RelationType
from pkgraph.snapshot.format import MAX_ROW, RELATION_TYPES

if TYPE_CHECKING:
    from pkgraph.recommend.ranking import Source

MAX_K = 1000
MAX_SEEDS = 100
MAX_SEED_WEIGHT = 16.0
WEIGHT_STEPS = 1024
"""A seed's weight is counted in steps of 1 / 1024, so that weighing keeps to integers."""

N_SCORES = 60_000
"""From this weight on a share is 1 to the millionth."""

ALL_TYPES = (1 << len(RELATION_TYPES)) - 1

Simple = Callable[[int, Sequence[str], int], Any]
"""simple(how, skus, k): the answer where nothing else is asked; None where it must be asked in full."""

Available = Collection[str] | Callable[[str], bool]
"""SKUs in stock, or a function that knows."""


class Asked(NamedTuple):
    """The arguments of `Graph.recommend`, checked; types, weights and categories are numbers.

    Attributes:
        steps: Weight of every seed, in steps of 1 / WEIGHT_STEPS; None: each counts once.
        rationales: Rows of the rationales that the purpose stands for.
    """

    skus: Sequence[str]
    steps: Sequence[int] | None
    rationales: Sequence[int]
    k: int
    types: int
    min_probability: float
    categories: frozenset[int] | None
    prices: tuple[float, float] | None
    exclude: Collection[str]
    available: Available | None
    max_per_kind: int
    max_per_phrase: int
    include_seed_kinds: bool


class Question(NamedTuple):
    """What is asked, with everything but products as numbers.

    Attributes:
        k: How many products at most.
        sources: Where paths start; one a kind, in the order of the kinds, then rationales.
        hidden: SKUs that must not appear: seeds and exclusions.
        types: A bit a relation type that counts.
        min_probability: Paths below do not count, share 0-1.
        categories: Rows of the categories that may appear; None: all.
        prices: Lowest and highest price; None: any, and unknown ones too.
        available: None: everything is in stock.
        max_per_kind: Products of one kind at most.
        max_per_phrase: Kinds at most that one product phrase was resolved to: "breakfast cereal" is adult,
            kids' and family cereal, and three of them say no more than one.
        include_seed_kinds: Products of the seeds' kinds may appear.
    """

    k: int
    sources: tuple[Source, ...]
    hidden: frozenset[str]
    types: int
    min_probability: float
    categories: frozenset[int] | None
    prices: tuple[float, float] | None
    available: Available | None
    max_per_kind: int
    max_per_phrase: int
    include_seed_kinds: bool

    @property
    def fits_rows(self) -> bool:
        """Whether merged rows may answer it: every path counts, and a row is long enough."""
        return self.types == ALL_TYPES and self.min_probability <= 0 and self.k <= MAX_ROW


def listed(texts: Iterable[str], name: str) -> Iterable[str]:
    """The texts of an argument that takes several.

    Raises:
        InputError: It is one text, which Python would take for the list of its letters.
    """
    if isinstance(texts, str):
        raise InputError(f"{name} is a list of texts, not one text.", remedy=f"Pass [{texts!r}].")
    return texts


def types_of(names: Iterable[str]) -> int:
    """Relation types as bits.

    Raises:
        InputError: There is no such type.
    """
    wanted = {str(name) for name in listed(names, "relation_types")}
    unknown = sorted(wanted - {str(name) for name in RelationType})
    if unknown:
        raise InputError(
            f"there is no relation type {', '.join(unknown)}.",
            remedy=f"Relation types: {', '.join(RelationType)}.",
        )
    return sum(1 << code for code, name in enumerate(RELATION_TYPES) if name in wanted)


def steps_of(weights: Sequence[float], n_seeds: int) -> tuple[int, ...]:
    """Seed weights in steps of 1 / WEIGHT_STEPS.

    Raises:
        InputError: There are more or fewer than seeds, or one is outside its range.
    """
    if len(weights) != n_seeds:
        raise InputError(f"{len(weights)} weights were given for {n_seeds} seeds.")
    outside = [weight for weight in weights if not 0 < weight <= MAX_SEED_WEIGHT]
    if outside:
        raise InputError(
            f"a seed weighs {outside[0]}, more than 0 and at most {MAX_SEED_WEIGHT:g} is allowed."
        )
    return tuple(max(1, round(weight * WEIGHT_STEPS)) for weight in weights)


def prices_of(min_price: float | None, max_price: float | None) -> tuple[float, float] | None:
    """Lowest and highest price, one that is not given infinite; None where neither is.

    Raises:
        InputError: The lowest is above the highest, or one is no number.
    """
    if min_price is None and max_price is None:
        return None
    low = float("-inf") if min_price is None else float(min_price)
    high = float("inf") if max_price is None else float(max_price)
    if not low <= high:
        raise InputError(f"the lowest price is {min_price} and the highest {max_price}.")
    return low, high


def check(
    skus: Sequence[str],
    k: int,
    min_probability: float,
    diversity: float,
    max_per_kind: int,
    max_per_phrase: int,
) -> None:
    """Refuse numbers outside their range.

    Raises:
        InputError: One is; nothing was looked up.
    """
    in_range = 1 <= k <= MAX_K and len(skus) <= MAX_SEEDS and not isinstance(skus, str)
    in_range = in_range and 0 <= min_probability <= 1 and 0 <= diversity <= 1
    if in_range and max_per_kind >= 1 and max_per_phrase >= 1:
        return
    at_most = min(max_per_kind, max_per_phrase)
    faults = {
        f"k is {k}, it must lie between 1 and {MAX_K}": not 1 <= k <= MAX_K,
        f"{len(skus)} seeds were given, {MAX_SEEDS} are allowed": len(skus) > MAX_SEEDS,
        "seeds are a list of SKUs, not one text": isinstance(skus, str),
        f"min_probability is {min_probability}, it is a share 0-1": not 0 <= min_probability <= 1,
        f"diversity is {diversity}, it is a share 0-1": not 0 <= diversity <= 1,
        f"max_per_kind and max_per_phrase must be at least 1, one is {at_most}": at_most < 1,
    }
    raise InputError(f"{'; '.join(sentence for sentence, is_broken in faults.items() if is_broken)}.")
