"""Whether what would be published now is what was published last: then nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkg_assets.incremental import Inputs, Steps
from pkgraph.errors import InputError, SnapshotError
from pkgraph.freshness.traces import MISSING, why_again
from pkgraph.snapshot import Record, open_published, open_record
from pkgraph.snapshot.commits import find_record
from resources.graph_store import GraphStore

PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Publication:
    """What would be published now, against what was.

    Attributes:
        stands: The commit of the snapshot that was made from just this and can be read; None without one.
    """

    steps: Steps
    channel: str | None
    inputs: Inputs
    stands: Record | None

    @classmethod
    def of(cls, steps: Steps, given: Mapping[str, str], channel: str | None) -> Publication:
        """What a person said counts where something was said; silence repeats what was said before."""
        store = GraphStore(home=str(steps.home.root))
        last = steps.noted(PUBLISH, channel)
        said = repr(sorted(given.items()))
        served = store.served() if channel else None
        inputs = {
            **steps.what_is_published(),
            "said": last.inputs.get("said", said) if last and not given.keys() - {"channel"} else said,
            "beside": served.snapshot_id if served else "",
        }
        made = {} if last is None else {"snapshot": last.outputs.get("snapshot", MISSING)}
        is_other = last is None or why_again(last, inputs, made)
        stands = None if is_other else _readable(store.channel(channel), made["snapshot"])
        return cls(steps, channel, inputs, stands)

    def note(self, snapshot_id: str) -> None:
        self.steps.note(PUBLISH, self.channel, self.inputs, {"snapshot": snapshot_id})


def _readable(root: Path, snapshot_id: str) -> Record | None:
    """The commit of a snapshot, every byte of it compared; None where it or what is served is damaged."""
    try:
        record = find_record(root, snapshot_id)
        open_record(record, verify=True)
        return None if open_published(root).skipped else record
    except (SnapshotError, InputError):
        return None
