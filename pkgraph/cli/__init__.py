"""The command line: `pkgraph --help`.

Heavy imports stand inside the commands, so that help and recommendations come at once.
"""

from __future__ import annotations

import errno
import sys

import click

from pkgraph.cli.build import build, ui
from pkgraph.cli.changes import diff, promote
from pkgraph.cli.costs import costs
from pkgraph.cli.doctor import doctor
from pkgraph.cli.estimating import estimate
from pkgraph.cli.explaining import explain
from pkgraph.cli.labelling import labels
from pkgraph.cli.ledger import ledger
from pkgraph.cli.reading import recommend, search
from pkgraph.cli.serving import export, push, serve, sync
from pkgraph.cli.snapshots import rollback, snapshots, verify
from pkgraph.cli.terminal import Terminated, show_error
from pkgraph.errors import MachineError, PkgraphError

OF_THE_MACHINE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.EACCES,
        errno.EPERM,
    }
)
"""Errors that no fault of ours explains; any other is one, and is shown with its trace."""

HELP = """\b
Examples:
  pkgraph build                            the demo shop, or the shop of the last build
  pkgraph estimate --model gpt-5-mini      what a live model would cost; nothing is sent
  pkgraph search dry pasta                 find a SKU by words
  pkgraph recommend 885863                 what belongs with it, and why
  pkgraph recommend --purpose "taco night"

\b
Exit codes:
  0  done
  1  a fault of pkgraph itself
  2  an argument, a setting or an input file is wrong
  3  the gate refused; what was published stays
  4  the budget does not allow it
  5  the language model's side failed; run again later
  6  no readable snapshot
  7  the answer ledger or the label store cannot be used
  8  the machine refused: a full or read-only disk, missing rights, too many open files
  130, 143  stopped by Ctrl-C or SIGTERM; everything acknowledged is kept

\b
Environment:
  PKGRAPH_HOME  the home folder of one shop (default ./.pkgraph)
"""


@click.group(epilog=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pkgraph")
def cli() -> None:
    """Distil what a language model knows about your products into a graph, and recommend from it."""


for command in (
    build,
    estimate,
    recommend,
    search,
    snapshots,
    diff,
    verify,
    rollback,
    promote,
    serve,
    push,
    sync,
    export,
    ui,
    doctor,
    explain,
    labels,
    ledger,
    costs,
):
    cli.add_command(command)


def _of_the_machine(error: OSError) -> MachineError:
    where = f" at {error.filename}" if error.filename else ""
    return MachineError(
        f"The machine refused: {error.strerror}{where}.",
        remedy="What was published stays. Make room or give the right, and run the same command again.",
    )


def main() -> None:
    """Run the command line; every error ends as what, why and what to do, with its exit code."""
    try:
        result = cli.main(standalone_mode=False)
    except PkgraphError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        refusal = _of_the_machine(error)
        show_error(refusal)
        sys.exit(refusal.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt, Terminated) as stop:
        click.echo(
            "\nStopped. Everything acknowledged is kept; run the same command again to go on.", err=True
        )
        sys.exit(stop.code if isinstance(stop, Terminated) else 130)
    sys.exit(result if isinstance(result, int) else 0)
