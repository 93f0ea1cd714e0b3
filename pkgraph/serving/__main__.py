"""What a supervisor starts: one worker on a socket that is open already."""

import sys

from pkgraph.serving.events import Log
from pkgraph.serving.supervisor import run_worker

if __name__ == "__main__":
    text, number, listening, page = sys.argv[1:]
    run_worker(text, int(number), int(listening), int(page), Log())
