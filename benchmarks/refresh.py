"""`make bench-refresh`: what a look at an unchanged shop costs, at the size of a large one.

python -m benchmarks.refresh [--categories 3000] [--kinds 100000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from pkg_assets.catalog import EMPTY
from pkg_assets.instance import build_instance, prepare_dagster
from pkg_assets.partitions import CATEGORIES
from pkg_assets.versions import MERGED, PUBLISHED_AT, to_publish
from pkgraph.catalog.digest import category_versions
from pkgraph.home import Home
from pkgraph.model import PURPOSES, category_key, kind_id
from pkgraph.tables import KINDS
from resources.table_store import TableStore
from tests.orchestration.looking import Looking

LOOKS = 5
SENSORS = ("delivery_sensor", "category_sensor", "judging_sensor", "publish_sensor")


def kinds_of_size(n_categories: int, n_kinds: int, *, renamed: int = 0) -> pl.DataFrame:
    """Table `kinds`, spread evenly; the first kind of `renamed` categories has another name."""
    rows = []
    for kind in range(n_kinds):
        category = f"Category {kind % n_categories}"
        name = f"kind {kind}" + (" renamed" if kind < renamed else "")
        row = {"kind_id": kind_id(category, name), "kind": name, "category": category}
        rows.append(
            {**row, "category_key": category_key(category), "n_skus": 3, "popularity": 1 / (2 + kind)}
        )
    return KINDS.conform(pl.DataFrame(rows).with_columns(department=pl.lit(None, pl.String)))


def large_shop(folder: Path, instance: dg.DagsterInstance, kinds: pl.DataFrame) -> Looking:
    """A shop in which everything is refreshed and published."""
    looking = Looking(folder, instance)
    looking.settle_settings(freshness={"daily_budget_usd": 100.0, "accept_uncertified": "a benchmark"})
    TableStore(home=str(folder)).write(KINDS.name, kinds)
    looking.catalog.write_text("sku,title,category\n" + "1,a,b\n" * 1_000_000)
    versions = {**category_versions(kinds), PURPOSES: EMPTY}
    instance.add_dynamic_partitions(str(CATEGORIES.name), list(versions))
    for key, version in versions.items():
        looking.distilled(key, version, "mapped")
        looking.judged(key, "mapped")
    looking.look("delivery_sensor")
    (request,) = looking.asked("delivery_sensor")
    digest = str(request.run_key).split(":")[1]
    looking.made("products", digest, delivery=digest)
    looking.made("hallucination_classifier", "h1")
    merged = dg.MetadataValue.json(to_publish(instance, list(versions)))
    looking.made("published_graph", "s", **{MERGED: merged, PUBLISHED_AT: looking.now.isoformat()})
    return looking


def seconds_of(looking: Looking, sensor: str) -> tuple[float, int]:
    begun = time.perf_counter()
    found = looking.look(sensor)
    return time.perf_counter() - begun, len(found.run_requests or ())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--categories", type=int, default=3_000)
    parser.add_argument("--kinds", type=int, default=100_000)
    size = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["PKGRAPH_HOME"] = str(home)
        prepare_dagster(Home(home))
        # Written through connections that stay open, looked at as the daemon does.
        with build_instance(Home(home)) as instance:
            looking = large_shop(home, instance, kinds_of_size(size.categories, size.kinds))
        looking.instance = dg.DagsterInstance.from_config(str(Home(home).dagster))
        print(f"{size.categories} categories, {size.kinds} kinds, SQLite storage")
        for sensor in SENSORS:
            times = [seconds_of(looking, sensor) for _ in range(LOOKS)]
            assert not any(n_asked for _, n_asked in times)
            print(f"  {sensor}: nothing to do, median {statistics.median(t for t, _ in times):.2f} s")
        changed = kinds_of_size(size.categories, size.kinds, renamed=size.categories)
        TableStore(home=str(home)).write(KINDS.name, changed)
        looking.now += timedelta(hours=1)
        took_s, n_asked = seconds_of(looking, "category_sensor")
        print(f"  category_sensor: every category changed, {n_asked} runs asked for, {took_s:.2f} s")
        TableStore(home=str(home)).write(KINDS.name, kinds_of_size(size.categories, size.kinds))
        looking.made("hallucination_classifier", "h2")
        took_s, n_asked = seconds_of(looking, "judging_sensor")
        print(f"  judging_sensor: another classifier, {n_asked} runs asked for, {took_s:.2f} s")


if __name__ == "__main__":
    main()
