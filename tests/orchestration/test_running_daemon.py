"""The real thing: `pkgraph ui` with its daemon, and a catalog file that gets a category more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkgraph.errors import SnapshotError
from pkgraph.recommend import Graph
from tests.figures import Figure
from tests.llm_server import FakeProvider
from tests.orchestration.building import KEY, KEY_NAME, build
from tests.orchestration.own_shop import kitchen_model, write_shop

# A minute and a half on an idle machine; the four processes of Dagster share it with other tests.
PATIENCE_S = 900
FRESHNESS = """
[freshness]
daily_budget_usd = 1.0
publish_every_minutes = 0.1
accept_uncertified = "nobody labelled the kitchen"
"""
NEW_SKU = "00061"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running_ui(home: Path, log: Path) -> Iterator[None]:
    """`pkgraph ui`, stopped as a person stops it."""
    command = [str(Path(sys.executable).with_name("pkgraph")), "ui", "--port", str(free_port())]
    environment = {**os.environ, "PKGRAPH_HOME": str(home), KEY_NAME: KEY}
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=home,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A child that a script starts in the background would ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(60)
            finally:
                with_group(process.pid, signal.SIGKILL)


def with_group(group: int, what: signal.Signals) -> None:
    try:
        os.killpg(group, what)
    except ProcessLookupError:
        return


def wait_until(holds: Callable[[], bool], log: Path) -> float:
    """Seconds until it held.

    Raises:
        AssertionError: It did not within PATIENCE_S; the log of the daemon is shown.
    """
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < PATIENCE_S, log.read_text(errors="replace")[-8000:]
        time.sleep(1)
    return time.monotonic() - begun


def recommended(home: Path, sku: str) -> list[str]:
    try:
        return [item.sku for item in Graph.published(home / "graph").recommend([sku], k=5).items]
    except SnapshotError:
        return []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_category_dropped_into_the_catalog_file_is_served_without_a_hand_on_it(
    tmp_path: Path, figure: Figure
) -> None:
    home, log = tmp_path / "home", tmp_path / "ui.log"
    with FakeProvider(kitchen_model) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        settings.write_text(settings.read_text() + FRESHNESS)
        built = build(home, settings, patience_s=PATIENCE_S)
        assert built.exit_code == 0, built.said
        n_asked = len(provider.asked)
        assert recommended(home, NEW_SKU) == []
        with running_ui(home, log):
            catalog = tmp_path / "shop" / "catalog.csv"
            catalog.write_text(catalog.read_text() + f"{NEW_SKU},Spaghetti Squash 1 kg,Vegetables,2.99\n")
            took_s = wait_until(lambda: bool(recommended(home, NEW_SKU)), log)

        assert recommended(home, NEW_SKU) == ["00031", "00021"]
        assert [asked.user_message for asked in provider.asked[n_asked:]] == [
            provider.asked[-1].user_message
        ], "one new kind is one prompt"
        assert "squash" in provider.asked[-1].user_message.lower()
    figure(f"served after {took_s:.0f} s")
