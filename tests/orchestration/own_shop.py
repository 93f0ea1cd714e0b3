"""A small shop of another make than the demo: own columns, no kinds, answers from a local HTTP server."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.llm_server import Asked, Reply

CATALOG = """\
article;description;shelf;price
00017;Spaghetti No. 5 500 g;Pasta;1.29
00018;Penne Rigate 500 g;Pasta;1.39
00019;Spaghetti Wholegrain 500g;Pasta;1.59
00021;Tomato Sauce Basil 400 g;Sauces;2.49
00022;Pesto Genovese 190 g;Sauces;3.29
00031;Parmesan Cheese 150 g;Cheese;4.99
00032;Mozzarella 125 g;Cheese;1.19
00041;Red Wine 0.75 l;Wine;6.99
"""

SETTINGS = """\
[catalog]
path = "catalog.csv"

[catalog.columns]
sku = "article"
title = "description"
category = "shelf"
price = "price"

[[models]]
name = "openai/kitchen-model"
api_base = "{api_base}"
api_key_env = "KITCHEN_KEY"
input_usd_per_million = 1.0
output_usd_per_million = 2.0

[prompts]
purposes = ["italian dinner"]
"""

PARTNERS = {
    "spaghetti": ("tomato sauce", "parmesan cheese"),
    "penne": ("pesto", "parmesan cheese"),
    "tomato sauce": ("spaghetti", "mozzarella"),
    "pesto": ("penne", "parmesan cheese"),
    "parmesan": ("spaghetti", "red wine"),
    "mozzarella": ("tomato sauce", "red wine"),
    "wine": ("parmesan cheese", "unicorn dust"),
    "italian dinner": ("spaghetti", "red wine", "parmesan cheese"),
}


def write_shop(folder: Path, api_base: str, catalog: str = CATALOG) -> Path:
    """The shop's files; returns the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalog.csv").write_text(catalog.replace(";", ","), encoding="utf-8")
    settings = folder / "shop.toml"
    settings.write_text(SETTINGS.format(api_base=api_base), encoding="utf-8")
    return settings


def kitchen_model(asked: Asked) -> Reply:
    """Answers like a model that knows Italian food."""
    subject = re.search(r"(?:product|purpose): (.*)", asked.user_message)
    name = subject.group(1).lower() if subject else ""
    partners = next((products for word, products in PARTNERS.items() if word in name), ())
    statements = [
        {
            "relation": "ingredient",
            "rationale": "italian dinner",
            "product": product,
            "explanation": f"An Italian dinner of {name} often has {product} in it.",
            "confidence": 0.9,
        }
        for product in partners
    ]
    return Reply(json.dumps({"relations": statements}))
