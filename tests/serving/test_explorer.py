"""The explorer needs nothing from elsewhere and takes no title for markup, in a real browser too."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pkgraph.serving.explorer import explorer_page
from pkgraph.snapshot.compile import compile_graph
from tests.published import publish_shop
from tests.serving.server import Server, running
from tests.shop import Shop, Told, accepted, products

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ATTACK = "<img src=x onerror=\"document.body.id='pwned'\"><script>document.body.id='pwned'</script>"
HOSTILE: Shop = {
    f"flowers {ATTACK}": (f"flowers {ATTACK}", [("f1", f"carnations {ATTACK}", 0.02)]),
    f"vases {ATTACK}": (f"home {ATTACK}", [(f"v1{ATTACK}", f"glass vase {ATTACK}", 0.01)]),
}
TOLD: list[Told] = [
    (
        f"flowers {ATTACK}",
        "accessory",
        f"keeping {ATTACK}",
        f"vases {ATTACK}",
        0.8,
        f"They stand in {ATTACK}.",
    )
]


class Page(HTMLParser):
    """What a document is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.body_id: str | None = None
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag == "body":
            self.body_id = dict(attrs).get("id")

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("hostile")
    publish_shop(root, compile_graph(products(HOSTILE), accepted(TOLD, shop=HOSTILE)))
    with running(root) as server:
        yield server


def test_the_page_needs_nothing_from_elsewhere_and_runs_its_own_script_alone(server: Server) -> None:
    answer = server.get("/")
    page, policy = Page(answer.text), answer.headers["content-security-policy"]
    assert all(one.startswith(("#", "/docs", "data:,")) for one in page.loads)
    assert page.handlers == []
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        [text] = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", answer.text, flags=re.DOTALL)
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_the_script_has_no_way_to_make_markup_or_code_out_of_text() -> None:
    script = explorer_page().body.decode().partition("<script")[2]
    ways = (
        r"(inner|outer)HTML|insertAdjacent|document\.write|\beval\b|\bFunction\b|setAttribute|srcdoc|Parser"
    )
    assert re.findall(ways, script) == []


def browsed(url: str, folder: Path) -> Page:
    """The document as it is after its scripts have run."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    command = [str(CHROMIUM), *options, f"--user-data-dir={folder}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return Page(done.stdout)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; `make services` installs one")
@pytest.mark.parametrize("view", ["item/f1", "search//carnations"])
def test_in_a_browser_what_shops_and_models_wrote_is_text(view: str, server: Server, tmp_path: Path) -> None:
    page = browsed(f"{server.url}/#{view}", tmp_path)
    assert ATTACK in page.words
    assert "Not certified: nothing is promised" in page.words
    assert (page.body_id, page.tags.count("script"), page.tags.count("img")) == (None, 1, 0)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; `make services` installs one")
def test_the_browser_would_have_told_of_an_attack_that_works(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<body>{ATTACK}</body>")
    assert browsed(f"file://{tmp_path / 'page.html'}", tmp_path / "profile").body_id == "pwned"


def test_what_the_page_asks_for_is_answered(server: Server) -> None:
    product = server.get("/v1/items/f1").json()["product"]
    assert (product["sku"], product["title"]) == ("f1", f"carnations {ATTACK}")
    [item] = server.get("/v1/items/f1/recommendations").json()["items"]
    edge = item["paths"][0]["edge"]
    [statement] = server.get(f"/v1/edges/{edge}/statements").json()["statements"]
    assert (statement["relation_id"], statement["model"]) == (item["paths"][0]["relation_id"], "model-a")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/items/zzz",
        "/v1/items/",
        *(f"/v1/edges/{n}/statements" for n in ("1", "-1", "x", "%D9%A3", "9" * 30, "")),
    ],
)
def test_what_is_not_there_is_a_404(path: str, server: Server) -> None:
    answer = server.get(path)
    assert answer.status_code == 404
    assert json.loads(answer.text)["type"].removeprefix("urn:pkgraph:problem:") in {
        "unknown-sku",
        "unknown-edge",
    }
