"""A failure is told once: at once where it is final, else when attempts were in vain."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pkg_assets.automation.asking import ATTEMPT_TAG
from pkg_assets.automation.failures import alert_sensor
from pkgraph.freshness.demand import ALERT_FROM_ATTEMPT
from resources.alerts import Alert, Alerts
from tests.orchestration.looking import Looking
from tests.orchestration.webhook import listening

ALERT = Alert("refresh_category", "pasta", "run-1", 5, "the provider is gone")
VARIABLE = "KITCHEN_WEBHOOK"


@pytest.fixture
def looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looking]:
    monkeypatch.setenv("PKGRAPH_HOME", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        looking = Looking(tmp_path, instance)
        looking.settle_settings(freshness={"webhook_env": VARIABLE})
        yield looking


def test_an_alert_arrives_as_json_with_a_sentence(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (url, came):
        monkeypatch.setenv(VARIABLE, url)
        problem = Alerts(home=str(looking.home)).send(ALERT)

    assert problem == ""
    assert came == [
        {
            "text": "refresh_category of pasta failed (attempt 5): the provider is gone",
            "job": "refresh_category", "category": "pasta", "run_id": "run-1", "attempt": 5,
            "reason": "the provider is gone",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("value", [None, "", "file:///etc/passwd", "gopher://x"])
def test_a_webhook_that_is_no_http_address_is_never_opened(
    looking: Looking, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)

    assert "holds no http(s) URL" in Alerts(home=str(looking.home)).send(ALERT)


def test_a_webhook_that_fails_is_reported_without_its_address(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(status=500) as (url, _):
        monkeypatch.setenv(VARIABLE, url)
        problem = Alerts(home=str(looking.home)).send(ALERT)

    assert problem == f"The alert was not sent: {VARIABLE} answered with HTTPError."


@pytest.mark.parametrize(
    ("attempt", "n_told"), [(0, 0), (1, 0), (ALERT_FROM_ATTEMPT, 1), (ALERT_FROM_ATTEMPT + 1, 0)]
)
def test_a_person_is_told_when_attempts_were_in_vain_and_not_at_each(
    looking: Looking, monkeypatch: pytest.MonkeyPatch, attempt: int, n_told: int
) -> None:
    @dg.op
    def fails() -> None:
        raise RuntimeError("the disk is full")

    @dg.job
    def refresh() -> None:
        fails()

    tags = {ATTEMPT_TAG: str(attempt)} if attempt else {}
    result = refresh.execute_in_process(instance=looking.instance, tags=tags, raise_on_error=False)
    run, (event,) = (
        result.dagster_run,
        [e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE"],
    )
    with listening() as (url, came):
        monkeypatch.setenv(VARIABLE, url)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_sensor", dagster_event=event, dagster_instance=looking.instance,
            dagster_run=run, resources={"alerts": Alerts(home=str(looking.home))},
        ).for_run_failure()  # fmt: skip
        logging.disable(logging.CRITICAL)
        try:
            alert_sensor(context)
        finally:
            logging.disable(logging.NOTSET)

    assert [one["reason"] for one in came] == ["the disk is full"] * n_told
