"""Dagster's own settings in a new home: nothing hangs for good, nothing is retried that a check refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg

from pkg_assets.definitions import build_defs
from pkg_assets.instance import build_instance, prepare_dagster
from pkgraph.home import Home


def test_a_run_that_never_starts_or_never_ends_does_not_hold_its_place_for_good(tmp_path: Path) -> None:
    prepare_dagster(Home(tmp_path))
    with build_instance(Home(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_start_timeout_seconds == 300
        assert instance.run_monitoring_cancel_timeout_seconds == 180
        # A batch of prompts takes a day.
        assert 24 * 3600 < instance.run_monitoring_max_runtime_seconds <= 48 * 3600
        assert instance.run_monitoring_max_resume_run_attempts == 0


def test_a_run_that_a_check_refused_is_not_retried_by_dagster(tmp_path: Path) -> None:
    prepare_dagster(Home(tmp_path))
    with build_instance(Home(tmp_path)) as instance:
        assert instance.run_retries_max_retries == 0
        assert not instance.run_retries_retry_on_asset_or_op_failure


def test_nothing_is_told_to_others_and_no_invitation_hides_the_first_page(tmp_path: Path) -> None:
    prepare_dagster(Home(tmp_path))
    with build_instance(Home(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled


def test_settings_of_a_persons_own_are_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.dagster.mkdir(parents=True)
    (home.dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepare_dagster(home)

    assert (home.dagster / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_the_ui_shows_when_graph_and_report_are_too_old() -> None:
    policies = {
        spec.key.to_user_string(): spec.freshness_policy
        for spec in build_defs().resolve_all_asset_specs()
        if spec.freshness_policy is not None
    }

    assert policies == {
        "published_graph": dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=30), warn_window=timedelta(days=21)
        ),
        "staleness_report": dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
        ),
    }


def test_the_only_asset_that_a_condition_asks_for_is_the_one_whose_lost_events_are_harmless() -> None:
    conditions = {
        spec.key.to_user_string()
        for spec in build_defs().resolve_all_asset_specs()
        if spec.automation_condition is not None
    }

    assert conditions == {"offline_metrics"}
