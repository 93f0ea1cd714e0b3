"""Commands of those who serve the graph: `serve`, `push`, `sync`, `export`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pkgraph.cli.reading import open_graph
from pkgraph.cli.terminal import console, errors, examples, safe, show_error
from pkgraph.errors import InputError, PublishConflict, SnapshotError
from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.snapshot.remote import Moved


@click.command(
    short_help="Answer recommendations over HTTP.",
    epilog=examples(
        "pkgraph serve",
        "pkgraph serve --host 0.0.0.0 --port 80 --workers 4",
        "pkgraph serve --stock available_skus.txt",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free."
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes; they share the snapshot's memory.",
)
@click.option(
    "--stock",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the SKUs that may be served, one a line; replace it as often as you like.",
)
@click.option(
    "--pin", metavar="SNAPSHOT", help="Serve this commit number or snapshot id, whatever is published."
)
@click.option("--channel", metavar="NAME", help="Serve this channel instead of the main one.")
@click.option(
    "--allow-host", "hosts", multiple=True, metavar="NAME", help="Answer for these host names only."
)
@click.option("--log-requests", is_flag=True, help="Log a line a request.")
def serve(
    host: str,
    port: int,
    workers: int,
    stock: Path | None,
    pin: str | None,
    channel: str | None,
    hosts: tuple[str, ...],
    *,
    log_requests: bool,
) -> int:
    """Answer recommendations over HTTP from the published graph; a new commit is picked up while it runs.

    Where nothing is published yet it starts all the same and is ready (/readyz) with the first commit.
    It only reads; towards the internet, put a reverse proxy in front of it: docs/SERVING.md.
    """
    try:
        from pkgraph.serving import Log, Options
        from pkgraph.serving import serve as run
    except ModuleNotFoundError as error:
        raise InputError(f"Serving needs {error.name}.", remedy="pip install 'pkgraph[serve]'") from error
    from pkgraph.snapshot import channel_root

    root = channel_root(Home.from_environment(os.environ).graph, channel)
    options = Options(
        root=root,
        stock=stock.resolve() if stock else None,
        pin=pin,
        hosts=frozenset(hosts),
        logs_requests=log_requests,
    )
    _warn_where_nothing_is_published(channel)
    try:
        run(options, Log(), host=host, port=port, workers=workers)
    except OSError as error:
        raise InputError(f"{host}:{port} cannot be listened on: {error.strerror}.") from error
    return 0


def _warn_where_nothing_is_published(channel: str | None) -> None:
    try:
        open_graph(channel)
    except SnapshotError as error:
        errors.print(f"[yellow]not ready[/] {safe(error.what)} Every question gets a 503 until then.")


@click.command(
    short_help="Send the served snapshot to an object store.",
    epilog=examples("pkgraph push s3://bucket/shop"),
)
@click.argument("url")
def push(url: str) -> int:
    """Send the served snapshot and its commit to the object store at URL, for `pkgraph sync` elsewhere."""
    from pkgraph.snapshot.remote import push as send

    moved = send(Home.from_environment(os.environ).graph, url)
    _tell(moved, "sent to" if moved.is_new else "is already in", url)
    return 0


@click.command(
    short_help="Fetch the newest snapshot from an object store.",
    epilog=examples("pkgraph sync s3://bucket/shop", "pkgraph sync s3://bucket/shop --every 5"),
)
@click.argument("url")
@click.option("--every", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Go on looking.")
def sync(url: str, every: float | None) -> int:
    """Fetch the newest snapshot from the object store at URL, verify it, and commit it here.

    A server on this home (`pkgraph serve`) picks it up within a second. Credentials and endpoint come from
    the environment, as usual for the store (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...).
    """
    if every is None:
        _sync_once(url)
        return 0
    while True:
        try:
            _sync_once(url)
        except (SnapshotError, PublishConflict) as error:  # the next look may succeed; what is served stays
            show_error(error)
        time.sleep(every)


def _sync_once(url: str) -> None:
    from pkgraph.snapshot.remote import pull

    moved = pull(Home.from_environment(os.environ).graph, url)
    _tell(moved, "fetched from" if moved.is_new else "is the newest in", url)


def _tell(moved: Moved, what: str, url: str) -> None:
    size = f", {moved.n_bytes / 1e6:.1f} MB" if moved.is_new else ""
    console.print(f"Commit {moved.sequence}, snapshot {moved.snapshot_id} {what} {safe(url)}{size}.")


@click.command(
    short_help="Load precomputed lists into Redis or Valkey.",
    epilog=examples(
        "pkgraph export --format redis --url redis://127.0.0.1:6379/0",
        "pkgraph export --format redis --url rediss://:password@valkey.example:6380/2 --prefix shop -k 20",
    ),
)
@click.option("--format", "form", type=click.Choice(["redis"]), required=True, help="What to load into.")
@click.option("--url", default="redis://127.0.0.1:6379/0", show_default=True, help="Server and database.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 100), help="Products a list.")
@click.option("--prefix", default="pkgraph", show_default=True, help="Beginning of every key.")
def export(form: str, url: str, k: int, prefix: str) -> int:
    """Load the list of every product into a Redis or Valkey, under the snapshot's id, then switch to it.

    Readers see the former lists or the new ones, never a mixture: docs/SERVING.md shows how to read. The
    former ones go away ten minutes later.
    """
    from pkgraph.recommend.redis_lists import load

    loaded = load(open_graph(), url, k=k, prefix=prefix)
    counts = f"{loaded.n_skus:,} SKUs, {loaded.n_lists:,} lists"
    console.print(f"Snapshot {loaded.snapshot_id} is current in {form}: {counts}.")
    return 0
