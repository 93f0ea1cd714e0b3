"""What happens in the month, in the order of its days."""

from __future__ import annotations

import json
from pathlib import Path

from pkgraph.snapshot import open_published, snapshots
from tests.orchestration.building import Moment
from tests.orchestration.month import LABEL_COLUMNS, Month, Played, month_of

CANARY = "canary"
REASON = "the cheese counter closed"


def play_month(folder: Path) -> Played:
    with month_of(folder) as month:
        for happens in STORY:
            happens(month)
        at_the_end(month)
        return Played(month.seen, month.notes, month.n_answers(), month.provider.n_answered)


def quiet(month: Month) -> None:
    with month.event("a quiet day", day=0):
        pass


def arrival(month: Month) -> None:
    with month.event("a category arrives", day=1):
        month.catalog["900"] = ("Spaghetti Squash 1 kg", "Vegetables", "2.99")
        month.deliver()
    month.notes["diff"] = json.loads(month.command("diff", "--json"))


def killed_run(month: Month) -> None:
    with month.event("a run is killed when a category arrives", day=2):
        month.catalog["930"] = ("Spaghetti Tongs 1 pc", "Kitchenware", "6.99")
        month.deliver()
        month.daemon.kill = Moment("accepted_relations", "before")


def rename(month: Month) -> None:
    with month.event("a kind is renamed", day=3):
        for sku, (title, shelf, price) in list(month.catalog.items()):
            month.catalog[sku] = (title.replace("Pesto Genovese", "Pesto Rosso"), shelf, price)
        month.deliver()


def sold_out(month: Month) -> None:
    """The shop replaces its stock list; nothing is built."""
    path, everything = "/v1/items/000/recommendations", month.folder / "available_skus"
    first = month.pinned.get(path).json()["items"][0]["sku"]
    with month.event("a product is sold out", day=4):
        everything.write_text("\n".join(sku for sku in month.catalog if sku != first))
        month.pinned.until(path, lambda answer: first not in answer.text)
    month.notes["sold out"] = (first, month.pinned.get(path).json()["items"])


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


def dear_shelf(month: Month) -> None:
    """Eight kinds for 0.0013 USD each, as they are expected to cost, and 0.0075 USD a day."""
    names = ("Salami", "Crackers", "Biscuits", "Chocolate", "Mustard", "Marmalade", "Gums", "Truffles")
    with month.event("a shelf arrives that no day pays for", day=13):
        month.settle_settings(daily_budget_usd=0.0075)
        month.catalog |= {
            f"95{n}": (f"Wine {name} 100 g", "Delicatessen", "5.99") for n, name in enumerate(names)
        }
        month.deliver()
    with month.event("the night after that", day=14):
        month.daemon.night()
    month.settle_settings(daily_budget_usd=1.0)


def broken_delivery(month: Month) -> None:
    with month.event("a delivery is no catalog", day=15):
        (month.folder / "shop" / "catalog.csv").write_text("<html>502 Bad Gateway</html>\n")
    with month.event("a delivery is half of the catalog", day=16):
        whole = dict(month.catalog)
        month.catalog = dict(list(whole.items())[: len(whole) // 2])
        month.deliver()
    with month.event("the delivery is whole again", day=17):
        month.catalog = whole
        month.deliver()


def bad_labels(month: Month) -> None:
    with month.event("a batch of labels is rubbish", day=18):
        (month.folder / "shop" / "labels.tsv").write_text(LABEL_COLUMNS + "nonsense\tx\ty\tmaybe\t\tZ\n" * 50)
        month.run("train_classifier")


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


def canary(month: Month) -> None:
    with month.event("what arrives is published beside what is served", day=25):
        month.settle_settings(publish_channel=CANARY)
        month.catalog["940"] = ("Wine Jelly 200 g", "Jam", "4.49")
        month.deliver()
    served = month.served()
    month.notes["before the canary"] = served.snapshot_id
    month.notes["canary diff"] = json.loads(month.command("diff", served.snapshot_id, CANARY, "--json"))
    with month.event("the canary is promoted", day=26):
        month.command("promote", CANARY)
        month.settle_settings(publish_channel=None)


def rollback(month: Month) -> None:
    with month.event("a person rolls back", day=27):
        month.command("rollback", month.notes["before the canary"])
    month.notes["after the rollback"] = month.served().snapshot_id


def losing_much(month: Month) -> None:
    with month.event("a fifth of the products goes for good", day=28):
        month.catalog = {sku: said for sku, said in month.catalog.items() if said[1] != "Cheese"}
        month.deliver()
    with month.event("a person accepts the loss by name", day=29):
        given = {"accept_sku_loss": REASON, "accept_uncertified": "nobody labelled the kitchen"}
        month.run("publish", published_graph={"config": given})
    month.notes["accepted loss"] = month.served().manifest.inputs["accepted_sku_loss"]


def expiry(month: Month) -> None:
    with month.event("a night on which what was learned first is due", day=31):
        month.daemon.night()


def at_the_end(month: Month) -> None:
    root = month.daemon.home / "graph"
    commits = snapshots(root)
    month.notes["commits"] = [one.sequence for one in commits]
    month.notes["present"] = [one.sequence for one in commits if one.is_present]
    month.notes["folders"] = len(list((root / "snapshots").iterdir()))
    month.notes["first"] = commits[-1].snapshot_id
    month.notes["pinned"] = month.pinned.get("/v1/snapshot").json()["snapshot_id"]
    month.notes["recommended by the pinned"] = month.pinned.get("/v1/items/000/recommendations").json()[
        "items"
    ]
    month.notes["skipped"] = open_published(root, verify=True).skipped


STORY = (
    quiet, arrival, killed_run, rename, sold_out, reprice, deletion, season, outage, dear_shelf,
    broken_delivery,
    bad_labels, there_and_back, nights, canary, rollback, losing_much, expiry,
)  # fmt: skip
