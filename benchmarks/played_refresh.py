"""The daemon, played once: a look notices a category, it is refreshed, another look publishes it.

Child of `benchmarks.rebuild`: `python -m benchmarks.played_refresh CATEGORY`, with PKGRAPH_HOME set.
The real daemon looks every half minute and starts a process a run; here all of it is one.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import dagster as dg

from pkgraph.home import Home
from pkgraph.tables import CATALOG
from tests.orchestration.played_daemon import playing


def main() -> None:
    (key,) = sys.argv[1:]
    with playing(Home.from_environment(os.environ).root, datetime.now(UTC)) as daemon:
        daemon.instance.report_runless_asset_event(
            dg.AssetMaterialization(CATALOG.name, partition=key, tags={"dagster/data_version": "another"})
        )
        n_asked = daemon.tick("category_sensor")
        n_published = daemon.tick("publish_sensor")
    assert daemon.ran == [("refresh_category", key, True), ("publish", "", True)], daemon.ran
    assert (n_asked, n_published) == (1, 1)


if __name__ == "__main__":
    main()
