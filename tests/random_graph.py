"""Graphs and questions at random, with texts that need escaping, ties, gaps, hubs and cut rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from pkgraph.snapshot import CompiledGraph
from pkgraph.snapshot.compile import compile_graph
from tests.shop import Shop, Told, accepted, products

TYPES = ["complement", "ingredient", "accessory", "occasion", "audience", "substitute"]
ODD = ['6" pipe', "back\\slash", "line\nbreak\ttab", "crème brûlée", "日本茶", "bell\x07", "", "a" * 300]


def random_shop(random: np.random.Generator, n_kinds: int) -> Shop:
    shop: Shop = {}
    for kind in range(n_kinds):
        skus = [
            (
                f"{random.integers(10**6)}-{kind}-{n}{random.choice(['', 'é', '/x'])}",
                str(random.choice(ODD)),
                float(random.choice([0, 0.01, 0.02, 0.05])),
            )
            for n in range(random.integers(1, 4))
        ]
        shop[f"kind {kind} {random.choice(ODD)}".strip()] = (f"shelf {kind % 3}", skus)
    return shop


def random_statements(random: np.random.Generator, shop: Shop, n: int) -> list[Told]:
    """Statements whose sources and targets follow a power law, with few different probabilities."""
    kinds = list(shop)
    rank = np.minimum(random.zipf(1.4, 2 * n) - 1, len(kinds) - 1)
    told: list[Told] = []
    for source, target in zip(rank[:n], rank[n:], strict=True):
        is_asked = random.random() < 0.3
        told.append(
            (
                None if is_asked else kinds[source],
                str(random.choice(TYPES)),
                f'purpose {random.integers(4)} of "it"',
                kinds[target],
                float(random.choice([0.0, 5e-05, 0.3, 0.5, 0.123456, 0.9, 1.0])),
                f"Because {random.choice(ODD)}.",
            )
        )
    return told


def random_graph(seed: int) -> CompiledGraph:
    random = np.random.default_rng(seed)
    shop = random_shop(random, int(random.integers(2, 60)))
    told = random_statements(random, shop, int(random.integers(1, 250)))
    frame = accepted(told, shop=shop)
    phrases = random.choice(["tea", "sweets", "flowers", "wine"], frame.height).tolist()
    return compile_graph(products(shop), frame.with_columns(pl.Series("product", phrases)))


def random_question(random: np.random.Generator, compiled: CompiledGraph) -> tuple[list[str], dict[str, Any]]:
    """Seeds and options of `Graph.recommend`; most options are left out most of the time."""
    s = compiled.sections
    every = list(s.sku_ids)
    seeds = [str(random.choice(every)) for _ in range(random.integers(0, 11))]
    seeds += [str(random.choice(["nowhere", "half \ud800", ""]))] if random.random() < 0.3 else []
    rare: dict[str, Any] = {
        "weights": [float(random.choice([0.001, 0.5, 1, 2, 16])) for _ in seeds],
        "purpose": str(random.choice([*s.rationale_texts, "unheard of"])),
        "exclude": [str(sku) for sku in random.choice(every, 5)],
        "available": {str(sku) for sku in random.choice(every, max(1, len(every) // 2))},
        "relation_types": [str(name) for name in random.choice(TYPES, 3)],
        "categories": ["shelf 0", "nowhere"],
        "min_price": 2.5,
        "max_price": 2.5,
        "min_probability": float(random.choice([0.3, 0.5])),
        "max_per_kind": 3,
        "max_per_phrase": 2,
        "include_seed_kinds": True,
        "diversity": 0.5,
    }
    options = {name: value for name, value in rare.items() if random.random() < 0.2}
    return seeds, {"k": int(random.choice([1, 3, 10, 33])), **options}
