"""Snapshots through a real server that speaks S3, to a second machine's home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pkgraph.errors import PublishConflict, SnapshotDamaged, SnapshotError, SnapshotMissing
from pkgraph.model import GateReport
from pkgraph.recommend import Graph
from pkgraph.snapshot import open_published, rollback, snapshots
from pkgraph.snapshot.commits import Record, manifest_digest, to_json
from pkgraph.snapshot.format import FORMAT_VERSION
from pkgraph.snapshot.manifest import sealed, unsealed
from pkgraph.snapshot.remote import Objects, pull, push
from tests.command import Command
from tests.kept_snapshot import GOLDEN
from tests.published import CREATED_AT, graph_of, publish_shop
from tests.serving.server import running
from tests.shop import STATEMENTS

SIGNED = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server of S3 in its own process."""
    program = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"
    server = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    line = next(line for line in server.stderr if "Running on http" in line)
    reader = threading.Thread(target=server.stderr.read)  # a full pipe would stop the server
    reader.start()
    yield line.split("Running on ")[1].split()[0]
    server.kill()
    server.wait()
    reader.join()
    server.stderr.close()


@pytest.fixture
def url(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of this test."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"shop-{os.getpid()}-{time.monotonic_ns()}"
    assert httpx.put(f"{endpoint}/{bucket}", headers={"Authorization": SIGNED}).status_code == 200
    return f"s3://{bucket}/graphs"


def served(root: Path) -> str:
    return open_published(root, verify=True).snapshot_id


def test_what_was_pushed_is_pulled_byte_by_byte_and_served(url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first = publish_shop(here)
    assert push(here, url).is_new
    moved = pull(there, url)
    assert (moved.is_new, moved.sequence, moved.snapshot_id) == (True, 1, first.snapshot_id)
    names = [path.relative_to(here) for path in here.rglob("*") if path.is_file() and path.name != ".lock"]
    assert {name: (here / name).read_bytes() for name in names} == {
        path.relative_to(there): path.read_bytes()
        for path in there.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def root_with(kept: Path, root: Path, **changes: Any) -> Record:
    """A root that serves a kept snapshot, with another manifest where something of it is changed."""
    manifest = unsealed(kept / "MANIFEST.json")
    folder = root / "snapshots" / f"1-{manifest['snapshot_id']}"
    shutil.copytree(kept, folder)
    (folder / "MANIFEST.json").write_bytes(sealed({**manifest, **changes}))
    digest = manifest_digest(folder)
    record = Record(
        1, "publish", manifest["snapshot_id"], None, CREATED_AT, digest, GateReport({"a": 1}, {}), folder
    )
    (root / "commits").mkdir()
    (root / "commits" / f"{1:020}.json").write_bytes(sealed(to_json(record)))
    return record


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_a_snapshot_of_every_format_is_pulled(version: int, tmp_path: Path) -> None:
    """Who serves is updated before who publishes."""
    record = root_with(GOLDEN / f"format-{version}", tmp_path / "here")
    (tmp_path / "store").mkdir()
    url = (tmp_path / "store").as_uri()
    push(tmp_path / "here", url)
    assert pull(tmp_path / "there", url).snapshot_id == record.snapshot_id
    assert Graph.published(tmp_path / "there").recommend(["f1"]).items[0].sku == "c2"


@pytest.mark.parametrize("name", ["../../evil.arr", "/etc/evil.arr", "evil.sh", "x/y.arr", ".arr", "a.arr\n"])
def test_a_manifest_in_the_store_never_names_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    kept, store = GOLDEN / f"format-{FORMAT_VERSION}", tmp_path / "store"
    files = {**unsealed(kept / "MANIFEST.json")["files"], name: {"size": 1, "sha256": "0" * 64}}
    root_with(kept, store, files=files)
    with pytest.raises(SnapshotDamaged, match="no file of a snapshot"):
        pull(tmp_path / "there", store.as_uri())
    assert not list(tmp_path.rglob("*evil*"))


def test_what_both_sides_have_is_not_moved_again(url: str, tmp_path: Path) -> None:
    publish_shop(tmp_path / "here")
    push(tmp_path / "here", url)
    pull(tmp_path / "there", url)
    again = push(tmp_path / "here", url), pull(tmp_path / "there", url)
    assert [(moved.is_new, moved.n_bytes) for moved in again] == [(False, 0), (False, 0)]


def test_a_server_takes_what_was_pulled_and_goes_back_with_the_publisher(url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first = publish_shop(here)
    push(here, url)
    pull(there, url)
    with running(there) as server:
        second = publish_shop(here, graph_of(STATEMENTS[:1]), version="2")
        push(here, url)
        pull(there, url)
        server.until("/readyz", lambda answer: answer.json()["snapshot_id"] == second.snapshot_id)
        rollback(here, 1, created_at=CREATED_AT)
        push(here, url)
        assert pull(there, url).n_bytes == 0
        server.until("/readyz", lambda answer: answer.json()["snapshot_id"] == first.snapshot_id)
    assert [record.action for record in snapshots(there)] == ["rollback", "publish", "publish"]


def test_a_pull_that_broke_off_is_taken_up_and_nobody_saw_it(url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    publish_shop(here)
    push(here, url)
    whole = pull(tmp_path / "third", url).n_bytes
    folder = publish_shop(here, version="2").path
    push(here, url)
    objects, name = Objects(url), f"snapshots/{folder.name}/words.bytes.arr"
    objects._library.delete(objects._store, name)
    with pytest.raises(SnapshotMissing, match=r"words\.bytes\.arr"):
        pull(there, url)
    with pytest.raises(SnapshotMissing):
        served(there)
    objects.write(name, folder / "words.bytes.arr")
    rest = pull(there, url)
    assert rest.is_new
    assert rest.n_bytes < whole * 0.7
    assert served(there) == served(here)


def test_a_bit_that_turned_in_the_store_is_found_and_the_old_graph_stays(url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first = publish_shop(here)
    push(here, url)
    pull(there, url)
    folder = publish_shop(here, version="2").path
    push(here, url)
    raw = bytearray((folder / "row_weight.arr").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "turned").write_bytes(raw)
    Objects(url).write(f"snapshots/{folder.name}/row_weight.arr", tmp_path / "turned")
    with pytest.raises(SnapshotDamaged, match=r"row_weight\.arr"):
        pull(there, url)
    assert served(there) == first.snapshot_id


def test_an_endless_file_in_the_store_does_not_fill_the_disk(url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    folder = publish_shop(here).path
    push(here, url)
    (tmp_path / "long").write_bytes(b"x" * 30_000_000)
    Objects(url).write(f"snapshots/{folder.name}/row_weight.arr", tmp_path / "long")
    with pytest.raises(SnapshotDamaged, match=r"row_weight\.arr"):
        pull(there, url)
    assert sum(path.stat().st_size for path in there.rglob("*") if path.is_file()) < 1_000_000


def test_roots_that_publish_on_their_own_are_never_mixed(url: str, tmp_path: Path) -> None:
    publish_shop(tmp_path / "here")
    publish_shop(tmp_path / "other", version="other")
    push(tmp_path / "here", url)
    with pytest.raises(PublishConflict, match="another commit"):
        push(tmp_path / "other", url)
    with pytest.raises(PublishConflict, match="another commit"):
        pull(tmp_path / "other", url)
    pull(tmp_path / "third", url)
    publish_shop(tmp_path / "third", version="2")
    with pytest.raises(PublishConflict, match="has commit 2"):
        pull(tmp_path / "third", url)


def test_an_empty_or_unreachable_store_says_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SnapshotMissing, match="holds no commit"):
        pull(tmp_path, url)
    with pytest.raises(SnapshotError, match="cannot be used"):
        pull(tmp_path, "nonsense://bucket")


def test_the_commands_move_it_and_say_what_they_did(url: str, pkgraph: Command, tmp_path: Path) -> None:
    publish_shop(pkgraph.home / "graph")
    assert "sent to" in pkgraph("push", url).out
    assert "is already in" in pkgraph("push", url).out
    there = Command(tmp_path / "there", pkgraph.patch)
    said = there("sync", url)
    assert (said.code, "fetched from" in said.out) == (0, True)
    assert "is the newest in" in there("sync", url).out
    assert json.loads(there("recommend", "f1", "--json").out)["items"][0]["sku"] == "c2"
