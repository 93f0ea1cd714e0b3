"""Commands of those who serve the graph: `serve`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pkgraph.cli.reading import open_graph
from pkgraph.cli.terminal import errors, examples, safe
from pkgraph.errors import InputError, SnapshotError
from pkgraph.home import Home


@click.command(
    short_help="Answer recommendations over HTTP.",
    epilog=examples(
        "pkgraph serve",
        "pkgraph serve --host 0.0.0.0 --port 80 --workers 4",
        "pkgraph serve --stock available_skus.txt",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
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
