"""What a supervisor starts: one worker on a socket that is open already."""

import sys

from pkgraph.serving.events import Log
from pkgraph.serving.supervisor import run_worker

if __name__ == "__main__":
    text, *numbers = sys.argv[1:]
    number, listening, page, supervisor = map(int, numbers)
    run_worker(text, number, listening, page, supervisor, Log())
