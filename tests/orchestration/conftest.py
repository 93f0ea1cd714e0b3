"""One built shop for all tests that only look at it, and copies for those that change it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.llm_server import FakeProvider
from tests.orchestration.building import Built, build
from tests.orchestration.own_shop import kitchen_model, write_shop


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that was built once; nobody writes into its home.

    Attributes:
        n_asked: How many prompts that took.
    """

    home: Path
    settings: Path
    built: Built
    provider: FakeProvider
    n_asked: int


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with FakeProvider(kitchen_model) as provider:
        settings = write_shop(folder / "shop", provider.url)
        built = build(folder / "home", settings)
        assert built.exit_code == 0, built.said
        yield Shop(folder / "home", settings, built, provider, len(provider.asked))


@pytest.fixture
def home(shop: Shop, tmp_path: Path) -> Path:
    """A copy of the built home, to change."""
    return Path(shutil.copytree(shop.home, tmp_path / "home"))


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Callable[..., tuple[Path, FakeProvider]]]:
    """Opens a shop of another catalog or another model; its settings and its provider."""
    providers: list[FakeProvider] = []

    def opened(catalog: str, script: object = kitchen_model) -> tuple[Path, FakeProvider]:
        provider = FakeProvider(script).__enter__()  # type: ignore[arg-type]
        providers.append(provider)
        return write_shop(tmp_path / "shop", provider.url, catalog), provider

    yield opened
    for provider in providers:
        provider.__exit__(None, None, None)
