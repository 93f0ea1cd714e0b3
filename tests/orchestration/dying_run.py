"""A run of the daemon in a process of its own that kills itself; its request is the argument, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pkg_assets.definitions import build_defs
from pkg_assets.instance import build_instance
from pkgraph.home import Home
from tests.orchestration.building import Moment, killing

# As the daemon's own server tags what it launched.
LAUNCHED = {".dagster/grpc_info": '{"host": "localhost", "socket": "/s"}'}


def main() -> None:
    from tests.orchestration.played_daemon import PlayedClock

    told: dict[str, Any] = json.loads(sys.argv[1])
    home, moment = Home(Path(told["home"])), Moment(*told["moment"])
    job = build_defs(clock=PlayedClock(file=told["clock"])).resolve_job_def(told["job"])
    with build_instance(home) as instance, killing(moment):
        job.execute_in_process(
            instance=instance,
            partition_key=told["partition"],
            run_config=told["run_config"],
            tags={**told["tags"], **LAUNCHED},
        )


if __name__ == "__main__":
    main()
