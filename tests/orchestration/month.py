"""A shop, the daemon beside it and what is seen after each event; what happens is told in `month_story`."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pkgraph.cli import cli
from pkgraph.llm import Ledger
from pkgraph.snapshot import Snapshot, open_published, snapshots
from pkgraph.snapshot.difference import Difference, compare
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import KEY, KEY_NAME
from tests.orchestration.own_shop import SETTINGS, kitchen_model
from tests.orchestration.played_daemon import QUIET, PlayedDaemon, playing
from tests.orchestration.webhook import listening
from tests.serving.server import Server, running

WEBHOOK = "KITCHEN_WEBHOOK"
FRESHNESS = """
[labels]
relations = "labels.tsv"

[freshness]
daily_budget_usd = 1.0
accept_uncertified = "nobody labelled the kitchen"
webhook_env = "KITCHEN_WEBHOOK"
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
        alerts: What a person was told.
    """

    runs: dict[str, int]
    n_answers: int
    served: frozenset[str]
    commit: int
    said: dict[str, str]
    change: Difference
    alerts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """A month, to be asserted about.

    Attributes:
        seen: Event to what followed from it.
        notes: What was looked at besides, by name.
        n_answers: What the ledger holds at the end.
        n_answered: What the provider answered in the month.
    """

    seen: dict[str, Seen]
    notes: dict[str, Any]
    n_answers: int
    n_answered: int


@dataclass
class Month:
    """The shop, the daemon and a server beside it, and what was seen.

    Attributes:
        pinned: Serves the first snapshot, whatever is published; the stock list is its, too.
        alerts: What came to the webhook.
    """

    folder: Path
    daemon: PlayedDaemon
    provider: Provider
    pinned: Server
    alerts: list[dict[str, Any]]
    catalog: dict[str, tuple[str, str, str]]
    seen: dict[str, Seen] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def deliver(self) -> None:
        rows = [f"{sku},{','.join(said)}" for sku, said in self.catalog.items()]
        text = "\n".join(["article,description,shelf,price", *rows, ""])
        (self.folder / "shop" / "catalog.csv").write_text(text)

    @contextmanager
    def event(self, name: str, *, day: int) -> Iterator[None]:
        """Something happens on a day at noon; what follows from it is played and noted."""
        self.daemon.at(START + timedelta(days=day, hours=12))
        n_runs, n_before, before = len(self.daemon.ran), self.n_answers(), self.served()
        n_alerts = len(self.alerts)
        yield
        self.daemon.settle()
        # Publishing comes at most every ten minutes.
        self.daemon.at(self.daemon.now + timedelta(minutes=11))
        self.daemon.settle()
        ran = self.daemon.ran[n_runs:]
        counted = Counter(job for job, _, _ in ran) + Counter("failed" for *_, ok in ran if not ok)
        graph = self.served()
        self.seen[name] = Seen(
            dict(counted),
            self.n_answers() - n_before,
            frozenset(graph.sections.sku_ids),
            len(snapshots(self.daemon.home / "graph")),
            dict(self.daemon.said),
            compare(before, graph),
            tuple(one["text"] for one in self.alerts[n_alerts:]),
        )

    def served(self) -> Snapshot:
        return open_published(self.daemon.home / "graph", verify=True)

    def n_answers(self) -> int:
        with Ledger.open(self.daemon.home / "ledger.sqlite") as ledger:
            return ledger.totals().n_answers

    def command(self, *arguments: str) -> str:
        """What `pkgraph` says."""
        said = io.StringIO()
        with redirect_stdout(said):
            assert cli.main([*arguments], standalone_mode=False) in {None, 0}
        return said.getvalue()

    def settle_settings(self, **freshness: Any) -> None:
        """Other settings of `[freshness]`, as `pkgraph build --settings` would keep them."""
        path = self.daemon.home / "settings.json"
        data = json.loads(path.read_text())
        data["freshness"] |= freshness
        path.write_text(json.dumps(data))

    def run(self, job: str, **ops: Any) -> None:
        """A person runs a job in the UI."""
        result = self.daemon.definitions.resolve_job_def(job).execute_in_process(
            instance=self.daemon.instance, run_config={**QUIET, "ops": ops}, raise_on_error=False
        )
        self.daemon.ran.append((job, "", result.success))


# The first build happens today, by the real clock; the month begins at the midnight after it.
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def write_month_shop(folder: Path, api_base: str) -> Path:
    """The shop as the month begins; its first build is the caller's."""
    shop = folder / "shop"
    shop.mkdir(parents=True)
    text = SETTINGS.format(api_base=api_base).replace("[[models]]\n", "[[models]]\nattempts = 1\n")
    (shop / "shop.toml").write_text(text + FRESHNESS)
    (shop / "labels.tsv").write_text(LABEL_COLUMNS)
    (folder / "available_skus").write_text("\n".join(first_catalog()))
    rows = [f"{sku},{','.join(said)}" for sku, said in first_catalog().items()]
    (shop / "catalog.csv").write_text("\n".join(["article,description,shelf,price", *rows, ""]))
    return shop / "shop.toml"


@contextmanager
def month_of(folder: Path) -> Iterator[Month]:
    """The shop as it was built, and everything that runs beside it."""
    provider = Provider()
    with (
        FakeProvider(provider) as asked,
        listening() as (webhook, alerts),
        playing(folder / "home", START) as daemon,
        running(folder / "home" / "graph", pin="1", stock=folder / "available_skus") as pinned,
    ):
        os.environ |= {KEY_NAME: KEY, WEBHOOK: webhook}
        settings = folder / "home" / "settings.json"
        settings.write_text(settings.read_text().replace(_former_url(settings), asked.url))
        yield Month(folder, daemon, provider, pinned, alerts, first_catalog())


def _former_url(settings: Path) -> str:
    return str(json.loads(settings.read_text())["models"][0]["api_base"])
