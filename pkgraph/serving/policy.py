"""The content security policy of our pages: a page runs its own style and script, and nothing else."""

from __future__ import annotations

import hashlib
from base64 import b64encode


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy_of(style: str, script: str | None = None) -> bytes:
    """The header line; a page with a script may ask this server, and may not make markup out of text."""
    allowed = [f"default-src 'none'; style-src {_digest(style)}; img-src data:"]
    if script is not None:
        allowed.append(
            f"script-src {_digest(script)}; connect-src 'self'; require-trusted-types-for 'script'"
        )
    allowed.append("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    return f"content-security-policy: {'; '.join(allowed)}\r\n".encode()
