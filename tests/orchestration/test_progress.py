"""What a person sees in the terminal while a live model is asked: the real command behind a real terminal."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
import time
from pathlib import Path

from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import KEY, KEY_NAME
from tests.orchestration.children import PATIENCE_S, in_child
from tests.orchestration.conftest import Shop
from tests.orchestration.own_shop import kitchen_model, write_shop
from tests.orchestration.test_own_shop import pkgraph

N_CACHED, N_FAILED, N_PROMPTS = 2, 1, 9
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# A bar of a terminal of 80 columns, and the line below the bars.
ASKING = re.compile(r"asking +\S+ +(\d+)/9 +\d:\d\d:\d\d left +(-:--:--|\d:\d\d:\d\d)")
SAID = re.compile(r"(\d+ answered, .*? left)")


def shown(home: Path, arguments: tuple[str, ...]) -> tuple[int, str]:
    """Exit code of the command in a terminal of 80 columns, and all that it wrote there."""
    pid, terminal = pty.fork()
    if pid == 0:
        from pkgraph.cli import main

        os.environ.update({"PKGRAPH_HOME": str(home), KEY_NAME: KEY, "COLUMNS": "80", "TERM": "xterm"})
        sys.argv = ["pkgraph", *arguments]
        # Another standard input and output than pytest's and the fork server's.
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in enumerate("rww"))
        code = 1
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    written = []
    try:
        while piece := os.read(terminal, 65_536):
            written.append(piece)
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), b"".join(written).decode()


def test_a_live_run_shows_how_far_it_is_what_it_cost_and_how_long_it_will_take(
    shop: Shop, tmp_path: Path
) -> None:
    said = pkgraph(shop.home, "ledger", "export", str(tmp_path / "all.jsonl"))
    assert said.code == 0, said
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    known = [line for line in lines if "product: red wine" not in line.lower()]
    (tmp_path / "some.jsonl").write_text("\n".join(known[:N_CACHED]))
    home = tmp_path / "home"
    home.mkdir()
    pkgraph(home, "ledger", "import", str(tmp_path / "some.jsonl"))
    n_asked, lock = 0, threading.Lock()

    def one_after_the_other(asked: Asked) -> Reply:
        nonlocal n_asked
        with lock:
            n_asked += 1
            wait_s = 0.25 * n_asked
        time.sleep(wait_s)
        return Reply("too long", 400) if "red wine" in asked.user_message.lower() else kitchen_model(asked)

    with FakeProvider(one_after_the_other) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        dear = settings.read_text().replace("million = 1.0", "million = 100.0").replace("= 2.0", "= 0.0")
        settings.write_text(dear)
        ended = in_child(
            shown, home,
            ("build", "--settings", str(settings), "--yes", "--budget", "8", "--accept-uncertified", "x"),
            patience_s=PATIENCE_S,
        )  # fmt: skip
    code, written = ended.value
    plain = ESCAPES.sub("", written)
    frames, words = ASKING.findall(plain), list(dict.fromkeys(SAID.findall(plain)))

    assert code == 0, written
    done = [int(n) for n, _ in frames]
    assert done == sorted(done)
    assert {N_CACHED, N_PROMPTS} < set(done)
    # Somewhere on the way the time left is known.
    assert any(left != "-:--:--" for n, left in frames if int(n) < N_PROMPTS)
    # 100 tokens in at 100 USD a million and 20 out at nothing, for each that was answered.
    assert words[0] == "0 answered, 0 failed, 2 cached, 0 tokens, 0.00 USD, 8.00 left"
    assert words[-1] == "6 answered, 1 failed, 2 cached, 720 tokens, 0.06 USD, 7.94 left"
    assert len(words) > 3
