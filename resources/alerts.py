"""Where alerts go besides the log: a webhook, whose URL may hold a secret and comes from the environment."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field

from pkgraph.home import Home

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Alert:
    """What failed.

    Attributes:
        category: Its key; None where the run was about the whole shop.
        attempt: From 1; 0 where a person started the run.
    """

    job: str
    category: str | None
    run_id: str
    attempt: int
    reason: str

    @property
    def sentence(self) -> str:
        where = f" of {self.category}" if self.category else ""
        return f"{self.job}{where} failed (attempt {self.attempt}): {self.reason}"


class Alerts(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop, whose settings name the variable.")

    def send(self, alert: Alert) -> str:
        """Post the alert as JSON; "" where it arrived or no webhook is named, else why it did not."""
        from pkgraph.settings import read_settings

        name = read_settings(Home(Path(self.home)).settings).freshness.webhook_env
        if name is None:
            return ""
        url = os.environ.get(name, "")
        if not url.startswith(("http://", "https://")):
            return f"The alert was not sent: {name} holds no http(s) URL."
        body = json.dumps({"text": alert.sentence, **asdict(alert)}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 - the scheme was looked at
                return ""
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            # The error's own words may repeat the URL.
            return f"The alert was not sent: {name} answered with {type(error).__name__}."
