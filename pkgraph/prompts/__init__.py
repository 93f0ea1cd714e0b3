"""What a language model is asked: templates, versioned by name, rendered one prompt a kind or purpose.

How an answer is read does not belong here, nor which model is asked.
"""

from pkgraph.prompts.rendering import render_companions, render_occasions
from pkgraph.prompts.template import Template, load_purposes, load_template
from pkgraph.prompts.untrusted import plain

__all__ = ["Template", "load_purposes", "load_template", "plain", "render_companions", "render_occasions"]
