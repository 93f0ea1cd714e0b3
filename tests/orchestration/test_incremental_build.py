"""`pkgraph build` again, through Dagster: what changed is run, and the graph is that of a full build."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pkg_assets.definitions import STAGES, build_defs
from pkgraph.home import Home
from pkgraph.snapshot import channel_root, open_published, snapshots
from tests.orchestration.building import build
from tests.orchestration.children import in_child
from tests.orchestration.conftest import Shop
from tests.orchestration.own_shop import CATALOG, write_shop

MORE = CATALOG.replace("2.49", "2.29") + "00042;Grissini 100 g;Pasta;1.99\n"


DOORS_AND_SOURCES = {
    "read_catalog": ({"shop", "tables", "artifacts"}, set()),
    "distil_category": (
        {"shop", "language_models", "answer_ledger", "clock", "artifacts"},
        {"products", "kind_index"},
    ),
    "hear_judge": ({"shop", "language_models", "answer_ledger", "clock"}, {"relations"}),
    "train_classifier": (
        {"shop", "tables", "artifacts", "label_store"},
        {
            "relations",
            "mapped_relations",
            "unmapped_products",
            "judge_verdicts",
            "kind_index",
            "co_purchase",
            "kinds",
        },
    ),
    "judge_category": (
        {"tables", "artifacts"},
        {
            "calibration_pairs",
            "mapped_relations",
            "unmapped_products",
            "judge_verdicts",
            "labelled_relations",
            "hallucination_classifier",
            "co_purchase",
            "kinds",
        },
    ),
    "publish": (
        {"shop", "tables", "artifacts", "answer_ledger", "graph_store", "label_store", "clock"},
        {
            "accepted_relations",
            "calibration_pairs",
            "hallucination_classifier",
            "kind_index",
            "labelled_relations",
            "products",
        },
    ),
}
"""Every way by which a job learns anything. Another one here needs a key in `pkg_assets.incremental`, too."""


@pytest.mark.parametrize("job", DOORS_AND_SOURCES)
def test_a_step_learns_by_no_other_way_than_those_that_its_keys_cover(job: str) -> None:
    definitions = build_defs()
    made = definitions.resolve_job_def(job).asset_layer.selected_asset_keys
    assets = [asset for asset in STAGES if set(asset.keys) & made]
    doors = set().union(*(asset.required_resource_keys for asset in assets)) - {"io_manager"}
    sources = {key.to_user_string() for asset in assets for key in asset.dependency_keys if key not in made}

    assert (doors, sources) == DOORS_AND_SOURCES[job]


def jobs_run(home: Path) -> Counter[str]:
    ended = in_child(jobs_run_here, home)
    assert ended.exit_code == 0
    return Counter(ended.value)


def jobs_run_here(home: Path) -> list[str]:
    from pkg_assets.instance import build_instance

    with build_instance(Home(home)) as instance:
        return [run.job_name for run in instance.get_runs()]


def published_metadata_here(home: Path) -> dict[str, Any]:
    import dagster as dg

    from pkg_assets.instance import build_instance

    with build_instance(Home(home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("published_graph"))
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_a_build_of_nothing_new_runs_no_job_and_asks_for_no_reason(shop: Shop, home: Path) -> None:
    before = jobs_run(home)
    built = build(home, accept_uncertified=None)

    assert (built.exit_code, built.snapshot_id) == (0, shop.built.snapshot_id)
    assert "Nothing changed" in built.said
    assert jobs_run(home) == before
    assert len(snapshots(home / "graph")) == 1


def test_what_changed_is_built_into_the_graph_of_a_full_build_from_the_same_answers(
    shop: Shop, home: Path, tmp_path: Path
) -> None:
    before, n_asked = jobs_run(home), len(shop.provider.asked)
    settings = write_shop(tmp_path / "changed", shop.provider.url, MORE)
    built = build(home, settings, channel="canary")
    ran = jobs_run(home) - before

    assert built.exit_code == 0, built.said
    assert len(shop.provider.asked) == n_asked + 1  # one new kind, one prompt
    assert (ran["read_catalog"], ran["distil_category"], ran["publish"]) == (1, 1, 1)
    assert open_published(home / "graph").snapshot_id == shop.built.snapshot_id
    canary = open_published(channel_root(home / "graph", "canary"), verify=True)
    assert canary.snapshot_id == built.snapshot_id

    anew = tmp_path / "anew"
    anew.mkdir()
    shutil.copyfile(home / "ledger.sqlite", anew / "ledger.sqlite")
    whole = build(anew, settings)
    assert whole.snapshot_id == built.snapshot_id
    assert len(shop.provider.asked) == n_asked + 1

    told = in_child(published_metadata_here, home).value
    assert told["compared_with"] == shop.built.snapshot_id
    assert (told["n_skus_in"], told["n_skus_out"]) == (1, 0)
    assert "grissini" in told["changes"].lower()


def test_a_build_of_named_categories_says_nothing_of_the_others(home: Path) -> None:
    named = build(home, categories=("Pasta",))

    assert "1 categories distilled." in named.said
    assert "of the shop not yet" not in named.said
