"""Answering over HTTP from the published snapshot; no write routes, no database, no model."""

from pkgraph.serving.app import create_app, serve

__all__ = ["create_app", "serve"]
