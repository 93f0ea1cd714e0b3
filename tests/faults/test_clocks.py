"""Clocks that jump ten years, forward and backward: the sequence is the order, no time-out believes them."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from pkgraph.serving import Limits, Log
from pkgraph.serving.connection import Connection
from pkgraph.serving.front import Front
from pkgraph.serving.metrics import Metrics, shared_page
from pkgraph.serving.served import Served
from pkgraph.serving.service import Service
from pkgraph.snapshot import publish, rollback, snapshots
from tests.published import content, graph_of, publish_shop

YEARS = (2016, 2026, 2036)


def moment(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def published_in(years: Sequence[int], root: Path) -> Iterator[str]:
    """Publish once in every year, files and folders dated accordingly; the snapshots' ids."""
    compiled = graph_of()
    for n, year in enumerate(years):
        at = moment(year)
        inputs = {"version": str(n), "certificate": None}
        done = publish(root, compiled, inputs=inputs, judge=content, created_at=at.isoformat())
        for path in [*done.path.iterdir(), *(root / "commits").glob(f"*{done.sequence}.json"), done.path]:
            os.utime(path, (at.timestamp(), at.timestamp()))
        yield done.snapshot_id


@pytest.mark.parametrize("years", list(itertools.permutations(YEARS)))
def test_the_last_published_is_served_whatever_the_clock_said(years: tuple[int, ...], tmp_path: Path) -> None:
    served, ids = Served(tmp_path), []
    for found in published_in(years, tmp_path):
        ids.append(found)
        assert served.refresh()
        assert served.current is not None
        assert served.current.graph.snapshot_id == found
    assert [record.snapshot_id for record in snapshots(tmp_path)] == ids[::-1]
    rollback(tmp_path, 1, created_at=moment(years[0]).isoformat())
    assert served.refresh()
    assert (served.sequence, served.current.graph.snapshot_id if served.current else None) == (4, ids[0])


@pytest.mark.parametrize(
    "years", [(2016, 2026, 2036, 2046), (2046, 2036, 2026, 2016), (2026, 2046, 2016, 2036)]
)
def test_what_is_removed_is_the_first_published_and_not_the_oldest_by_its_date(
    years: tuple[int, ...], tmp_path: Path
) -> None:
    ids = list(published_in(years, tmp_path))
    assert [record.snapshot_id for record in snapshots(tmp_path) if record.is_present] == ids[:0:-1]


class Transport:
    """A caller that says nothing."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


async def silent_caller(years: Sequence[int], root: Path) -> tuple[list[bytes], bool]:
    """The date that answers carry, tick by tick, and whether a caller who said nothing was cut off."""
    clock = iter([moment(year) for year in (*years, *years)])
    publish_shop(root)
    served = Served(root)
    served.refresh()
    service = Service(served, Metrics(shared_page(1)), Log(clock=lambda: next(clock)))
    front = Front(service, Limits())
    caller, transport = Connection(front), Transport()
    caller.connection_made(cast("Any", transport))
    dates = []
    for _ in years[1:]:
        front._tick()
        dates.append(front.date)
    return dates, transport.is_closed


@pytest.mark.parametrize("years", [(2026, 2036, 2016), (2026, 2016, 2036)])
def test_a_caller_is_cut_off_by_time_that_passed_and_not_by_a_clock(
    years: tuple[int, ...], tmp_path: Path
) -> None:
    dates, is_cut_off = asyncio.run(silent_caller(years, tmp_path))
    assert [str(year).encode() in date for year, date in zip(years[1:], dates, strict=True)] == [True, True]
    assert not is_cut_off


def test_an_age_is_told_though_the_graph_comes_from_the_future(tmp_path: Path) -> None:
    list(published_in([2036], tmp_path))
    served = Served(tmp_path)
    served.refresh()
    service = Service(served, Metrics(shared_page(1)), Log(clock=lambda: moment(2026)))
    route, answer = service.answer(b"GET", b"/metrics", {}, b"")
    assert (route, answer.status) == ("metrics", 200)
    assert b"pkgraph_snapshot_age_seconds -" in answer.body
