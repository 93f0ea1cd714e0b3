"""Answering over HTTP from the published snapshot; no write routes, no database, no model."""

from pkgraph.serving.events import Log
from pkgraph.serving.front import Limits
from pkgraph.serving.supervisor import serve
from pkgraph.serving.worker import Options

__all__ = ["Limits", "Log", "Options", "serve"]
