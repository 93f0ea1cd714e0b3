"""The delivery is read again once its bytes differ from those that were read last."""

from __future__ import annotations

import json

import dagster as dg

from pkg_assets.automation.asking import EVERY_S, at_work, build_at_work, looked, run_request, why
from pkgraph.errors import InputError
from pkgraph.freshness import Memory
from resources.clock import Clock
from resources.shop import Shop

JOB = "read_catalog"


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Catalog or baskets have other bytes than those that were read: reads them.",
)
def delivery_sensor(context: dg.SensorEvaluationContext, shop: Shop, clock: Clock) -> dg.SensorResult:
    """Catalog or baskets changed: read them.

    A file counts once it is the same at two looks, since one that is being written can be read too.
    """
    from pkgraph.catalog.digest import delivery_digest

    try:
        digest = delivery_digest(shop.settings())
    except InputError as error:
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    seen, memory = _cursor(context.cursor)
    is_settled, is_read = digest == seen, digest == _read_last(context.instance)
    wanted = {"delivery": digest} if is_settled and not is_read else {}
    is_busy = JOB in at_work(context.instance)[0] or build_at_work(context.instance)
    under_way = {"delivery"} if is_busy else set()
    now = clock.now()
    kept = Memory.from_json(memory, now=now)
    found = looked(context.instance, wanted, kept, under_way=under_way, now=now)
    otherwise = (
        "the delivery is the one that was read" if is_read else "the delivery is new; the next look counts"
    )
    return dg.SensorResult(
        run_requests=[run_request(asked) for asked in found.requests.values()],
        skip_reason=None if found.requests else why(found.waiting, otherwise),
        cursor=json.dumps({"seen": digest, "memory": found.memory.to_json()}),
    )


def _cursor(text: str | None) -> tuple[str, str]:
    """The digest of the look before, and the memory."""
    try:
        data = json.loads(text or "")
        return str(data["seen"]), str(data["memory"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _read_last(instance: dg.DagsterInstance) -> str | None:
    event = instance.get_latest_materialization_event(dg.AssetKey("products"))
    made = event.asset_materialization if event else None
    read = made.metadata.get("delivery") if made else None
    return str(read.value) if read else None
