"""Publishing is level-triggered: what is accepted is compared with what the last snapshot merged."""

from __future__ import annotations

import json

import dagster as dg

from pkg_assets.automation.asking import EVERY_S, at_work, build_at_work, looked, run_request, why
from pkg_assets.partitions import category_keys
from pkg_assets.versions import last_merged, to_publish
from pkgraph.errors import InputError
from pkgraph.freshness import Memory
from pkgraph.model import content_key
from pkgraph.settings import Settings
from resources.clock import Clock
from resources.shop import Shop

JOB = "publish"
GRAPH = "graph"
_NEEDED = {"products", "hallucination_classifier"}


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="What is accepted is not what the last snapshot merged: publishes all of it.",
)
def publish_sensor(context: dg.SensorEvaluationContext, shop: Shop, clock: Clock) -> dg.SensorResult:
    """What is accepted differs from what is published: publish all of it, at most every so many minutes."""
    instance, now = context.instance, clock.now()
    try:
        settings = shop.settings()
    except InputError as error:
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    wanted = to_publish(instance, category_keys(instance))
    merged, published_at = last_merged(instance, settings.freshness.publish_channel)
    if not wanted.keys() > _NEEDED or build_at_work(instance):
        reason = "nothing is accepted yet, or a build is at work and will publish"
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)
    memory = Memory.from_json(context.cursor, now=now)
    asked = memory.asked.get(GRAPH)
    last_s = max(published_at.timestamp() if published_at else 0.0, asked.at_s if asked else 0.0)
    left_s = last_s + 60 * settings.freshness.publish_every_minutes - now.timestamp()
    if wanted != merged and left_s > 0:
        return dg.SensorResult(skip_reason=f"publishes in {left_s:.0f} s what is new", cursor=context.cursor)
    found = looked(
        instance,
        {} if wanted == merged else {GRAPH: _version(wanted, settings)},
        memory,
        under_way={GRAPH} if JOB in at_work(instance)[0] else set(),
        now=now,
    )
    return dg.SensorResult(
        run_requests=[run_request(one, config=_config(settings)) for one in found.requests.values()],
        skip_reason=None if found.requests else why(found.waiting, "all that is accepted is published"),
        cursor=found.memory.to_json(),
    )


def _version(wanted: dict[str, str], settings: Settings) -> str:
    """A refused graph is asked for again once it, or what may go out, is another."""
    allowed = settings.gate.model_dump_json() + (settings.freshness.accept_uncertified or "")
    return content_key("graph", json.dumps(wanted, sort_keys=True), allowed)


def _config(settings: Settings) -> dict[str, object]:
    freshness = settings.freshness
    said = {"accept_uncertified": freshness.accept_uncertified, "channel": freshness.publish_channel}
    given = {name: value for name, value in said.items() if value}
    return {"ops": {"published_graph": {"config": given}}} if given else {}
