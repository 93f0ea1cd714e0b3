"""What was accepted, read back only where it is what `accepted_relations` wrote.

A table in the store can be written by anyone; what the asset accepted stands in the event of its
materialization, as the data version of the rows. The demo's 46 categories are compared in under a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import dagster as dg
import polars as pl

from pkg_assets.reporting import fingerprint
from pkg_assets.versions import versions_by_partition
from pkgraph.errors import GateRefused
from pkgraph.tables import ACCEPTED_RELATIONS
from resources.table_store import TableStore

# A run that accepts right now has written its rows and, for milliseconds, not yet its event.
LOOKS = 3


def accepted_as_judged(
    instance: dg.DagsterInstance,
    tables: TableStore,
    keys: Iterable[str],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> pl.DataFrame:
    """Table `accepted_relations` of all these categories.

    Raises:
        GateRefused: Rows of a category are not those that the asset accepted last. Nothing is published.
    """
    wanted, present = sorted(keys), {}
    for look in range(LOOKS):
        sleep(look)
        read = {key: tables.read(ACCEPTED_RELATIONS.name, key) for key in wanted}
        present.update({key: part for key, part in read.items() if part is not None})
        accepted = versions_by_partition(instance, ACCEPTED_RELATIONS.name)
        wanted = [key for key in wanted if key in present and fingerprint(present[key]) != accepted.get(key)]
        if not wanted:
            return ACCEPTED_RELATIONS.conform(pl.concat([ACCEPTED_RELATIONS.empty(), *present.values()]))
    raise GateRefused(
        f"The accepted relations of {', '.join(wanted[:5])} are not those that passed the gate.",
        broken={"accepted_relations_are_as_judged": len(wanted)},
        remedy="Materialize accepted_relations of these categories again, then publish.",
    )
