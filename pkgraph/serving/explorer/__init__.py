"""The explorer: one page of its own, made of the three files beside this one; it asks the HTTP interface."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pkgraph.serving.policy import policy_of
from pkgraph.serving.problems import COMMON, Answer


@cache
def explorer_page() -> Answer:
    """The page, which runs its own script and style and no other: see `policy`."""
    page, style, script = (
        files(__name__).joinpath(name).read_text(encoding="utf-8")
        for name in ("page.html", "style.css", "script.js")
    )
    head = b"content-type: text/html; charset=utf-8\r\ncache-control: no-cache\r\n" + COMMON
    body = page.replace("/*style*/", style).replace("/*script*/", script)
    return Answer(200, head + policy_of(style, script), body.encode())
