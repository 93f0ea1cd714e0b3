"""How old knowledge is when it is used, and what that costs: a year of the demo shop's baskets.

Real: which categories the baskets of each day hold, and how many kinds a category has.
Assumed: how fast a category changes (log-normal around once in 60 days), and 0.1 cent a prompt.

python -m benchmarks.freshness [--plot docs/freshness.png]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.catalog.complete_journey import demo_basket_lines
from pkgraph.freshness import Price, plan_night
from pkgraph.settings import CatalogSettings

DAYS = 365
LIMIT_DAYS = 30.0
PROMPT_USD = 0.001
MEAN_DAYS_TO_CHANGE = 60.0
START = datetime(2017, 1, 1, 2, tzinfo=UTC)
# Policies are compared once the beginning, when everything is equally old, is forgotten.
FROM_DAY = 60

Floats = npt.NDArray[np.float64]
Choose = Callable[[int, Floats, np.random.Generator], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Shop:
    """Categories in rows.

    Attributes:
        kinds: float64 (n,). Prompts it takes to refresh a category.
        used: float64 (DAYS, n). Baskets of each day that hold the category.
        change_rate: float64 (n,). Changes a day of what is true of it.
    """

    keys: tuple[str, ...]
    kinds: Floats
    used: Floats
    change_rate: Floats


def demo_shop(seed: int) -> Shop:
    products = read_catalog(CatalogSettings(source="complete_journey")).products
    kinds = kinds_of(products).group_by("category_key").len().sort("category_key")
    lines = demo_basket_lines().join(products.select("sku", "category_key"), on="sku")
    days = lines.with_columns(day=(pl.col("time").dt.ordinal_day() - 1).clip(0, DAYS - 1))
    counted = days.unique(["basket", "category_key"]).group_by("day", "category_key").len()
    keys = tuple(kinds["category_key"])
    row = {key: n for n, key in enumerate(keys)}
    used = np.zeros((DAYS, len(keys)))
    for day, key, n in counted.select("day", "category_key", "len").iter_rows():
        used[day, row[key]] = n
    rates = np.random.default_rng(seed).lognormal(-np.log(MEAN_DAYS_TO_CHANGE), 1.0, len(keys))
    return Shop(keys, kinds["len"].to_numpy().astype(float), used, rates)


@dataclass(frozen=True)
class Outcome:
    """What a policy came to, over all uses of a category by a basket.

    Attributes:
        mean_age: Days, on average of all uses.
        high_age: Days that 95 % of uses stay below.
        oldest: Days, of any category, used or not.
        stale: Share of uses at which something had changed since the last refresh.
        usd: Spent a year.
    """

    mean_age: float
    high_age: float
    oldest: float
    stale: float
    usd: float


def simulate(shop: Shop, choose: Choose, seed: int) -> Outcome:
    """Every night some categories are refreshed, every day their knowledge is used."""
    random = np.random.default_rng(seed)
    ages = random.uniform(0, LIMIT_DAYS, len(shop.keys))
    spent, rows = 0.0, []
    for day in range(DAYS):
        chosen = choose(day, ages, random)
        spent += float(shop.kinds[chosen].sum()) * PROMPT_USD
        ages = np.where(chosen, 0.0, ages)
        rows.append(ages.copy())
        ages += 1.0
    held, used = np.array(rows)[FROM_DAY:], shop.used[FROM_DAY:]
    order = np.argsort(held, axis=None)
    below = np.cumsum(used.ravel()[order]) / used.sum()
    stale = 1 - np.exp(-held * shop.change_rate)
    return Outcome(
        float((held * used).sum() / used.sum()),
        float(held.ravel()[order][np.searchsorted(below, 0.95)]),
        float(held.max()),
        float((stale * used).sum() / used.sum()),
        spent,
    )


def every(n_days: int) -> Choose:
    return lambda day, ages, _: np.full(len(ages), day % n_days == 0)


def at_random(shop: Shop, budget_usd: float) -> Choose:
    """Whichever comes, due or not, as long as the night's money lasts; what is left is kept for the next."""
    purse = [0.0]

    def choose(_: int, ages: Floats, random: np.random.Generator) -> npt.NDArray[np.bool_]:
        purse[0] += budget_usd
        chosen = np.zeros(len(ages), bool)
        for row in random.permutation(len(ages)):
            cost = shop.kinds[row] * PROMPT_USD
            if cost > purse[0]:
                break
            purse[0] -= cost
            chosen[row] = True
        return chosen

    return choose


def planned(shop: Shop, budget_usd: float, *, knows_volatility: bool = True) -> Choose:
    """`plan_night`, with what past refreshes show of each category's changes."""
    seen = np.zeros((2, len(shop.keys)))

    def choose(day: int, ages: Floats, random: np.random.Generator) -> npt.NDArray[np.bool_]:
        changed = pl.DataFrame({"category_key": shop.keys, "n_compared": seen[0], "n_changed": seen[1]}).cast(
            {"n_compared": pl.Int64, "n_changed": pl.Int64}
        )
        report = plan_night(
            states(shop, day, ages),
            changed if knows_volatility else changed.clear(),
            price=Price(0, PROMPT_USD),
            is_live=True,
            budget_usd=budget_usd,
            day_usd=np.inf,  # a category is refreshed whole here, or not at all
            planned_at=START + timedelta(days=day),
        )
        chosen = (report["plan"] == "refresh").to_numpy()
        # Ten statements a kind; each is another one with the probability that the truth moved on.
        n_said = (10 * shop.kinds * chosen).astype(int)
        seen[0] += n_said
        seen[1] += random.binomial(n_said, 1 - np.exp(-ages * shop.change_rate))
        return chosen

    return choose


def states(shop: Shop, day: int, ages: Floats) -> pl.DataFrame:
    """What `staleness` would say; traffic is that of the four weeks before."""
    known = shop.used[max(0, day - 28) : max(1, day)]
    due = ages >= LIMIT_DAYS
    kinds = shop.kinds.astype(int)
    n = len(shop.keys)
    return pl.DataFrame(
        {
            "category_key": shop.keys, "category": shop.keys, "state": ["distilled"] * n, "n_skus": kinds,
            "n_kinds": kinds, "n_prompts": kinds, "n_answered": kinds,
            "oldest_answer_at": [START + timedelta(days=day - float(age)) for age in ages],
            "age_days": ages, "open_input_tokens": [0] * n, "open_output_tokens": [0] * n,
            "age_limit_days": [LIMIT_DAYS] * n, "n_due": kinds * due, "due_input_tokens": [0] * n,
            "due_output_tokens": kinds * due, "due_age_days": ages * due,
            "traffic": known.mean(axis=0) / max(shop.used.sum(axis=1).max(), 1),
        }
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    shop = demo_shop(arguments.seed)
    whole_usd = shop.kinds.sum() * PROMPT_USD
    steady_usd = whole_usd / LIMIT_DAYS
    print(f"{len(shop.keys)} categories, {shop.kinds.sum():.0f} kinds; all of it once: ${whole_usd:.2f}")
    print(f"{'policy':<34}{'USD/year':>9}{'mean age':>10}{'95 % below':>12}{'oldest':>8}{'stale uses':>12}")
    policies: dict[str, Choose] = {
        "everything nightly": every(1),
        "everything weekly": every(7),
        "everything every 30 days": every(30),
    }
    for share in (0.5, 1.0, 2.0):
        budget = share * steady_usd
        policies[f"at random, ${budget:.3f} a night"] = at_random(shop, budget)
        policies[f"planned, ${budget:.3f} a night"] = planned(shop, budget)
    found = {name: simulate(shop, choose, arguments.seed) for name, choose in policies.items()}
    for name, one in found.items():
        print(
            f"{name:<34}{one.usd:>9.2f}{one.mean_age:>8.1f} d{one.high_age:>10.0f} d{one.oldest:>6.0f} d"
            f"{one.stale:>11.1%}"
        )
    if arguments.plot:
        draw(found, arguments.plot)


def draw(found: dict[str, Outcome], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    groups = {"everything": "o", "at random": "s", "planned": "^"}
    for group, marker in groups.items():
        points = [one for name, one in found.items() if name.startswith(group)]
        axes.plot([p.usd for p in points], [p.mean_age for p in points], marker=marker, label=group)
    axes.set(xscale="log", xlabel="US dollars a year", ylabel="mean age when used, days", ylim=(0, None))
    for name, one in found.items():
        if name.startswith("everything"):
            axes.annotate(
                name, (one.usd, one.mean_age), (0, 8), textcoords="offset points", ha="right", fontsize=8
            )
    axes.set_title("Age of knowledge when a basket uses it, and its cost: demo shop, one year")
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
