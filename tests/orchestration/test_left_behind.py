"""What a run leaves: its answers make the same snapshot elsewhere, and its key is in nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pkgraph.snapshot import open_published
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import KEY, build
from tests.orchestration.conftest import Shop
from tests.orchestration.own_shop import kitchen_model, write_shop
from tests.orchestration.test_own_shop import pkgraph


def files_of(root: Path) -> dict[str, bytes]:
    folder = open_published(root, verify=True).path
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_exported_answers_make_the_same_snapshot_byte_for_byte_in_a_fresh_home(
    shop: Shop, tmp_path: Path
) -> None:
    n_asked = len(shop.provider.asked)
    assert "9 answers" in pkgraph(shop.home, "ledger", "export", str(tmp_path / "answers.jsonl")).out
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert "9 new answers" in pkgraph(fresh, "ledger", "import", str(tmp_path / "answers.jsonl")).out
    built = build(fresh, shop.settings)

    assert built.snapshot_id == shop.built.snapshot_id
    assert files_of(fresh / "graph") == files_of(shop.home / "graph")
    assert len(shop.provider.asked) == n_asked


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file that is left, as text; tables are unpacked, since their pages are compressed."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield str(path.relative_to(folder)), pl.read_parquet(path).write_json()
        elif path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "replace")


def test_a_key_that_the_provider_repeats_is_in_nothing_that_a_run_leaves(tmp_path: Path) -> None:
    """It answers some requests with an error that holds the key, and every one at the second attempt."""
    seen: set[str] = set()

    def script(asked: Asked) -> Reply:
        if asked.user_message in seen:
            return kitchen_model(asked)
        seen.add(asked.user_message)
        words = f"the key {KEY} of this account is tired"
        return Reply(words, 400 if "wine" in asked.user_message.lower() else 500)

    with FakeProvider(script) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        said = pkgraph(
            tmp_path / "home", "build", "--settings", str(settings), "--yes", "--accept-uncertified", "first"
        )  # fmt: skip
        keys = {request.headers["authorization"] for request in provider.asked}

    assert said.code == 0, said
    assert keys == {f"Bearer {KEY}"}
    left = dict(texts_of(tmp_path / "home"))
    assert {name for name, text in left.items() if KEY in text} == set()
    assert KEY not in said.out + said.err
    # The search finds what is there: the provider's words, and in every kind of place what belongs there.
    tired = {name for name, text in left.items() if "of this account is tired" in text}
    assert any("ledger" in name for name in tired)
    assert any(name.endswith(".parquet") for name in tired)
    named = {name.split("/")[0] for name, text in left.items() if "openai/kitchen-model" in text}
    assert {"dagster", "graph", "tables", "settings.json"} <= named
