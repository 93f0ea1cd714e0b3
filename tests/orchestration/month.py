"""A month of a shop's life, played in one child: what happens, and what was seen after each event."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pkgraph.llm import Ledger
from pkgraph.snapshot import Snapshot, open_published, snapshots
from pkgraph.snapshot.difference import Difference, compare
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import KEY, KEY_NAME
from tests.orchestration.own_shop import SETTINGS, kitchen_model
from tests.orchestration.played_daemon import PlayedDaemon, playing

FRESHNESS = """
[labels]
relations = "labels.tsv"

[freshness]
daily_budget_usd = 1.0
accept_uncertified = "nobody labelled the kitchen"
"""
LABEL_COLUMNS = "prompt_id\tmodel\tposition\tholds\treason\tannotator\n"
SIZES = ("500 g", "1 kg", "2 kg", "5 kg")
SHELVES = {
    "Spaghetti No. 5": "Pasta", "Penne Rigate": "Pasta", "Tomato Sauce Basil": "Sauces",
    "Pesto Genovese": "Sauces", "Parmesan Cheese": "Cheese", "Mozzarella": "Cheese", "Red Wine": "Wine",
}  # fmt: skip


def first_catalog() -> dict[str, tuple[str, str, str]]:
    """SKU to title, shelf and price: seven kinds in four sizes."""
    return {
        f"{kind:02}{size}": (f"{name} {SIZES[size]}", shelf, f"{1 + kind}.{size}9")
        for kind, (name, shelf) in enumerate(SHELVES.items())
        for size in range(4)
    }


@dataclass
class Provider:
    """A model that knows Italian food, and a switch that takes it down."""

    is_down: bool = False
    n_answered: int = 0

    def __call__(self, asked: Asked) -> Reply:
        if self.is_down:
            return Reply("overloaded", status=503)
        self.n_answered += 1
        return kitchen_model(asked)


@dataclass(frozen=True, slots=True)
class Seen:
    """What followed from one event.

    Attributes:
        runs: Job to how many runs it had, and "failed".
        n_answers: Answers that the ledger gained.
        served: SKUs that are served afterwards.
        commit: Number of the snapshot's commit.
        said: Last word of each sensor, and why a job failed.
        change: What the served graph differs in from the one before the event.
    """

    runs: dict[str, int]
    n_answers: int
    served: frozenset[str]
    commit: int
    said: dict[str, str]
    change: Difference


@dataclass
class Month:
    """The shop, the daemon beside it, and what was seen."""

    folder: Path
    daemon: PlayedDaemon
    provider: Provider
    catalog: dict[str, tuple[str, str, str]]
    seen: dict[str, Seen] = field(default_factory=dict)

    def deliver(self) -> None:
        rows = [f"{sku},{','.join(said)}" for sku, said in self.catalog.items()]
        text = "\n".join(["article,description,shelf,price", *rows, ""])
        (self.folder / "shop" / "catalog.csv").write_text(text)

    @contextmanager
    def event(self, name: str, *, day: int) -> Iterator[None]:
        """Something happens on a day at noon; what follows from it is played and noted."""
        self.daemon.at(START + timedelta(days=day, hours=12))
        n_runs, n_before, before = len(self.daemon.ran), self._n_answers(), self._served()
        yield
        self.daemon.settle()
        # Publishing comes at most every ten minutes.
        self.daemon.at(self.daemon.now + timedelta(minutes=11))
        self.daemon.settle()
        ran = self.daemon.ran[n_runs:]
        counted = Counter(job for job, _, _ in ran) + Counter("failed" for *_, ok in ran if not ok)
        graph = self._served()
        self.seen[name] = Seen(
            dict(counted),
            self._n_answers() - n_before,
            frozenset(graph.sections.sku_ids),
            len(snapshots(self.daemon.home / "graph")),
            dict(self.daemon.said),
            compare(before, graph),
        )

    def _served(self) -> Snapshot:
        return open_published(self.daemon.home / "graph", verify=True)

    def _n_answers(self) -> int:
        with Ledger.open(self.daemon.home / "ledger.sqlite") as ledger:
            return ledger.totals().n_answers


# The first build happens today, by the real clock; the month begins at the midnight after it.
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def write_month_shop(folder: Path, api_base: str) -> Path:
    """The shop as the month begins; its first build is the caller's."""
    shop = folder / "shop"
    shop.mkdir(parents=True)
    text = SETTINGS.format(api_base=api_base).replace("[[models]]\n", "[[models]]\nattempts = 1\n")
    (shop / "shop.toml").write_text(text + FRESHNESS)
    (shop / "labels.tsv").write_text(LABEL_COLUMNS)
    rows = [f"{sku},{','.join(said)}" for sku, said in first_catalog().items()]
    (shop / "catalog.csv").write_text("\n".join(["article,description,shelf,price", *rows, ""]))
    return shop / "shop.toml"


def play_month(folder: Path) -> tuple[dict[str, Seen], int, int]:
    """What was seen, how many answers the ledger holds, and how many the provider gave in the month."""
    os.environ[KEY_NAME] = KEY
    provider = Provider()
    with FakeProvider(provider) as server, playing(folder / "home", START) as daemon:
        settings = folder / "home" / "settings.json"
        settings.write_text(settings.read_text().replace(_former_url(settings), server.url))
        month = Month(folder, daemon, provider, first_catalog())
        for happens in STORY:
            happens(month)
        return month.seen, month._n_answers(), provider.n_answered


def _former_url(settings: Path) -> str:
    return str(json.loads(settings.read_text())["models"][0]["api_base"])


def quiet(month: Month) -> None:
    with month.event("a quiet day", day=0):
        pass


def arrival(month: Month) -> None:
    with month.event("a category arrives", day=1):
        month.catalog["900"] = ("Spaghetti Squash 1 kg", "Vegetables", "2.99")
        month.deliver()


def rename(month: Month) -> None:
    with month.event("a kind is renamed", day=3):
        for sku, (title, shelf, price) in list(month.catalog.items()):
            month.catalog[sku] = (title.replace("Pesto Genovese", "Pesto Rosso"), shelf, price)
        month.deliver()


def reprice(month: Month) -> None:
    with month.event("prices change", day=5):
        month.catalog = {sku: (title, shelf, "9.99") for sku, (title, shelf, _) in month.catalog.items()}
        month.deliver()


def deletion(month: Month) -> None:
    with month.event("two products are gone", day=7):
        del month.catalog["003"], month.catalog["013"]
        month.deliver()


def season(month: Month) -> None:
    with month.event("a season begins", day=9):
        month.catalog["910"] = ("Mulled Wine 1 l", "Christmas", "3.99")
        month.deliver()


def outage(month: Month) -> None:
    with month.event("the provider is down when a category arrives", day=11):
        month.provider.is_down = True
        month.catalog["920"] = ("Wine Vinegar 0.5 l", "Vinegar", "1.99")
        month.deliver()
    with month.event("the provider is back", day=12):
        month.provider.is_down = False


def broken_delivery(month: Month) -> None:
    with month.event("a delivery is no catalog", day=14):
        (month.folder / "shop" / "catalog.csv").write_text("<html>502 Bad Gateway</html>\n")
    with month.event("a delivery is half of the catalog", day=15):
        whole = dict(month.catalog)
        month.catalog = dict(list(whole.items())[: len(whole) // 2])
        month.deliver()
    with month.event("the delivery is whole again", day=16):
        month.catalog = whole
        month.deliver()


def bad_labels(month: Month) -> None:
    with month.event("a batch of labels is rubbish", day=18):
        (month.folder / "shop" / "labels.tsv").write_text(LABEL_COLUMNS + "nonsense\tx\ty\tmaybe\t\tZ\n" * 50)
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = month.daemon.definitions.resolve_job_def("train_classifier").execute_in_process(
            instance=month.daemon.instance, run_config=quiet, raise_on_error=False
        )
        month.daemon.ran.append(("train_classifier", "", result.success))


def there_and_back(month: Month) -> None:
    red = {sku: said for sku, said in month.catalog.items() if said[0].startswith("Red Wine")}
    with month.event("red wine becomes white", day=20):
        month.catalog.update(
            {sku: (title.replace("Red", "White"), shelf, price) for sku, (title, shelf, price) in red.items()}
        )
        month.deliver()
    with month.event("and red again", day=21):
        month.catalog.update(red)
        month.deliver()


def nights(month: Month) -> None:
    with month.event("a night on which nothing is due", day=22):
        month.daemon.night()
    with month.event("a night on which the season is due", day=24):
        month.daemon.night()


STORY = (
    quiet, arrival, rename, reprice, deletion, season, outage, broken_delivery, bad_labels, there_and_back,
    nights,
)  # fmt: skip
