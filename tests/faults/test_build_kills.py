"""kill -9 at any stage of a build: the next one makes the same graph, asks nothing twice and cleans up.

A chain kills one build after another in one home, each a step later than the one before, and then lets one
live: what the first left behind is what the second has to cope with. The slow tests kill once each.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pkgraph.llm import Ledger
from pkgraph.snapshot import open_published, snapshots
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import UNCERTIFIED, Moment, build, build_here, try_to_build
from tests.orchestration.children import ended, in_child, start
from tests.orchestration.own_shop import kitchen_model, write_shop

KITCHEN = """\
article;description;shelf;price
00017;Spaghetti No. 5 500 g;Kitchen;1.29
00021;Tomato Sauce Basil 400 g;Kitchen;2.49
00031;Parmesan Cheese 150 g;Kitchen;4.99
"""
N_PROMPTS = 4  # three kinds and one purpose
CHAIN = (
    Moment("products"),
    Moment("kind_index.json", "before"),
    Moment("llm_responses"),
    Moment("mapped_relations"),
    Moment("judgement.json"),
    Moment("scored_relations"),
    Moment("accepted_relations"),
    Moment("linked"),
)
ALONE = (
    Moment("products", "before"),
    Moment("kinds"),
    Moment("kind_index.json"),
    Moment("co_purchase"),
    Moment("catalog"),
    Moment("prompts"),
    Moment("llm_responses", "before"),
    Moment("llm_responses"),
    Moment("relations"),
    Moment("unreadable_responses"),
    Moment("mapped_relations", nth=2),
    Moment("unmapped_products"),
    Moment("labelled_relations"),
    Moment("judgement.json", "before"),
    Moment("relation_evidence"),
    Moment("scored_relations"),
    Moment("accepted_relations", "before"),
    Moment("accepted_relations"),
    Moment("accepted_relations", nth=2),
    Moment("locked"),
    Moment("file_written", nth=17),
    Moment("judged"),
    Moment("renamed"),
    Moment("commit_written"),
    Moment("committed"),
    Moment("cleaned"),
    Moment("offline_metrics"),
    Moment("staleness_report"),
)
"""Each table and artifact that a build writes, and the moments of publishing."""


@dataclass
class Kitchen:
    """A small shop with a provider that counts."""

    folder: Path
    provider: FakeProvider
    settings: Path = field(init=False)

    def __post_init__(self) -> None:
        self.settings = write_shop(self.folder / "shop", self.provider.url, KITCHEN)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def asked(self) -> list[int]:
        return sorted(Counter(request.user_message for request in self.provider.asked).values())


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    with FakeProvider(kitchen_model) as provider:
        yield Kitchen(tmp_path, provider)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The snapshot of a build that nobody killed."""
    with FakeProvider(kitchen_model) as provider:
        kitchen = Kitchen(tmp_path_factory.mktemp("undisturbed"), provider)
        built = build(kitchen.home, kitchen.settings)
        assert built.exit_code == 0, built.said
        assert kitchen.asked == [1] * N_PROMPTS
    return built.snapshot_id


def unfinished_runs(home: Path) -> int:
    ended = in_child(unfinished_runs_here, home)
    assert ended.exit_code == 0
    return int(ended.value)


def unfinished_runs_here(home: Path) -> int:
    import dagster as dg

    from pkg_assets.instance import build_instance
    from pkgraph.home import Home

    done = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    with build_instance(Home(home)) as instance:
        return sum(run.status not in done for run in instance.get_runs())


def check_the_next_build(kitchen: Kitchen, undisturbed: str) -> None:
    built = build(kitchen.home)

    assert (built.exit_code, built.failures) == (0, {}), built.said
    assert built.snapshot_id == undisturbed
    assert open_published(kitchen.home / "graph", verify=True).snapshot_id == undisturbed
    assert [record.snapshot_id for record in snapshots(kitchen.home / "graph")] == [undisturbed]
    assert kitchen.asked == [1] * N_PROMPTS
    assert unfinished_runs(kitchen.home) == 0
    left_over = [path for path in kitchen.home.rglob(".*") if path.is_file() and path.name != ".lock"]
    assert left_over == []


def test_builds_killed_one_after_another_end_in_the_same_graph(kitchen: Kitchen, undisturbed: str) -> None:
    for moment in CHAIN:
        assert try_to_build(kitchen.home, kitchen.settings, kill=moment).exit_code == -signal.SIGKILL, moment
    assert unfinished_runs(kitchen.home) == 1  # the last one; each build has swept the one before it
    check_the_next_build(kitchen, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ALONE, ids=str)
def test_a_build_killed_once_is_made_good_by_the_next(
    moment: Moment, kitchen: Kitchen, undisturbed: str
) -> None:
    assert try_to_build(kitchen.home, kitchen.settings, kill=moment).exit_code == -signal.SIGKILL
    check_the_next_build(kitchen, undisturbed)


NAMES = ("alba", "bruna", "chiara", "dora", "elsa", "fiora", "gina", "ida", "lara", "mara", "nora", "olga")
MANY = "article;description;shelf;price\n" + "".join(
    f"{number:05d};Spaghetti {name};Kitchen;1.29\n" for number, name in enumerate(NAMES)
)


def test_a_build_killed_while_it_asks_repeats_only_what_was_in_flight(tmp_path: Path) -> None:
    """The provider kills the child before it answers the ninth question."""
    children: list[Any] = []

    def deadly(asked: Asked) -> Reply:
        if len(provider.asked) == 9:
            os.kill(children[0].pid, signal.SIGKILL)
        reply = kitchen_model(asked)
        return Reply(reply.text, delay_s=0.1)

    with FakeProvider(deadly) as provider:
        settings = write_shop(tmp_path / "shop", provider.url, MANY + KITCHEN.partition("\n")[2])
        # Four at once: the ninth comes when the first four have long been kept.
        settings.write_text(settings.read_text().replace("[prompts]", "max_concurrency = 4\n\n[prompts]"))
        request = {"accept_uncertified": UNCERTIFIED}
        child, receiver = start(build_here, tmp_path / "home", settings, None, request)
        children.append(child)
        assert ended(child, receiver).exit_code == -signal.SIGKILL
        n_asked = len(provider.asked)
        with Ledger.open(tmp_path / "home" / "ledger.sqlite") as ledger:
            n_acknowledged = ledger.totals().n_answers
        built = build(tmp_path / "home")
        asked = Counter(request.user_message for request in provider.asked)

    assert (built.exit_code, built.failures) == (0, {}), built.said
    assert 0 < n_acknowledged < n_asked
    assert len(asked) == 16
    assert max(asked.values()) == 2
    assert asked.total() == 16 + n_asked - n_acknowledged
    assert unfinished_runs(tmp_path / "home") == 0
