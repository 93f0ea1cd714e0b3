"""Calls and tokens per 1 000 SKUs: one call a kind, several kinds a call, and LightRAG over the same text.

    python -m benchmarks.tokens [--without-lightrag]

LightRAG stands behind the extra `bench`; PKGRAPH_LIGHTRAG_PYTHON names another interpreter that has it.
Its figures say what it sends, not what it is worth: it extracts what the catalog's text says, while the
prompts here ask for what no catalog says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from benchmarks.counting_server import Counts, counting_server
from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.freshness.estimate import RECORDED
from pkgraph.llm import Ledger, ask_all
from pkgraph.prompts.packing import pack
from pkgraph.prompts.rendering import prompt_from
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from pkgraph.settings import CatalogSettings, ModelSettings, PromptSettings
from resources.litellm_model import LiteLLMModel
from resources.prices import prices_of

ROOT = Path(__file__).parents[1]
PRICED_AS = "gpt-5-mini"
SAMPLE = 2_000
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# The tables that litellm brings: tiktoken would fetch them from the network, here and in LightRAG's process.
_TABLES = Path(str(find_spec("litellm").origin)).parent / "litellm_core_utils" / "tokenizers"  # type: ignore[union-attr]
os.environ["TIKTOKEN_CACHE_DIR"] = str(_TABLES)


def _counter() -> Counts:
    import tiktoken

    encoding = tiktoken.encoding_for_model("gpt-4o")
    return Counts(lambda text: len(encoding.encode(text, disallowed_special=())))


def _recorded() -> list[str]:
    lines = (ROOT / "demo/answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [row["text"] for row in map(json.loads, lines) if row["template"] == "companions.v1"]


def _shown(label: str, calls: float, n_in: float, n_out: float, n_skus: int) -> None:
    prices, each = prices_of(ModelSettings(name=PRICED_AS)), 1_000 / n_skus
    assert prices is not None
    usd = prices.usd(round(n_in), round(n_out)) * each
    print(
        f"{label:44} {calls * each:8.1f} calls {n_in * each:9,.0f} tokens in {n_out * each:9,.0f} out"
        f" {usd:8.4f} USD"
    )


def _whole_shop(products: pl.DataFrame, counts: Counts) -> None:
    kinds, settings = kinds_of(products), PromptSettings()
    companions, occasions = prompts_of_kinds(kinds, settings), prompts_of_purposes(settings)
    n_in = sum(
        counts.count(message["content"])
        for messages in [*companions["messages"], *occasions["messages"]]
        for message in json.loads(messages)
    )
    n_out = companions.height * RECORDED["companions.v1"].likely
    n_out += occasions.height * RECORDED["occasions.v1"].likely
    print(
        f"\nthe demo shop: {products.height} SKUs, {kinds.height} kinds; per 1 000 SKUs, {PRICED_AS}'s prices"
    )
    _shown("one call a SKU would be", products.height, n_in / kinds.height * products.height,
           products.height * RECORDED["companions.v1"].likely, products.height)  # fmt: skip
    _shown("one call a kind", companions.height + occasions.height, n_in, n_out, products.height)


def _packed(products: pl.DataFrame, counts: Counts) -> None:
    """Inputs counted exactly; answers as long as the recorded ones with the id of their kind in front."""
    rows = prompts_of_kinds(kinds_of(products), PromptSettings()).select("prompt_id", "messages")
    prompts = [prompt_from(*row) for row in rows.iter_rows()]
    alone = [counts.count(text) for text in _recorded()]
    entries = [counts.count('{"id": "0f3a", ' + text[1:] + ", ") for text in _recorded()]
    print("\nseveral kinds a prompt (`kinds_per_prompt`, default 1): tokens exact, quality not measured")
    for size in (1, 2, 4, 8, 16):
        packs = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        messages = [pack(some).prompt.messages if size > 1 else some[0].messages for some in packs]
        n_in = sum(counts.count(message.content) for asked in messages for message in asked)
        each = sum(alone if size == 1 else entries) / len(entries)
        n_out = each * len(prompts) + (0 if size == 1 else 6 * len(packs))
        label = f"{size} kind{'s' if size > 1 else ''} a prompt"
        _shown(label, len(packs), n_in, n_out, products.height)


def _sample(products: pl.DataFrame) -> pl.DataFrame:
    """Whole categories in the order of their keys until there are enough SKUs: kinds are never cut."""
    sizes = products.group_by("category_key").len().sort("category_key")
    enough = sizes.filter(pl.col("len").cum_sum() - pl.col("len") < SAMPLE)
    return products.filter(pl.col("category_key").is_in(enough["category_key"].implode())).sort("sku")


def _ours(sample: pl.DataFrame, url: str, folder: Path) -> None:
    prompts = prompts_of_kinds(kinds_of(sample), PromptSettings())
    model = LiteLLMModel(
        ModelSettings(name="openai/counted", api_base=url, input_usd_per_million=0, output_usd_per_million=0)
    )
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        ask_all(prompts, [model], ledger, now=lambda: datetime.now(UTC))


def _lightrag(lines: list[str], url: str, folder: Path) -> None:
    text = folder / "catalog.txt"
    text.write_text("\n".join(lines), encoding="utf-8")
    subprocess.run(
        [_lightrag_python(), str(ROOT / "benchmarks/lightrag_side.py"), url, str(text), str(folder / "rag")],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _lightrag_python() -> str:
    return os.environ.get("PKGRAPH_LIGHTRAG_PYTHON", sys.executable)


def _compare(products: pl.DataFrame, *, with_lightrag: bool) -> None:
    sample = _sample(products)
    n_kinds = sample["kind_id"].n_unique()
    print(f"\n{sample.height} of its SKUs ({n_kinds} kinds), sent to one local server; per 1 000 SKUs")
    line = pl.format("{} | {} | {}", "title", "category", pl.col("department").fill_null(""))
    every_sku = sample.select(line.alias("line"))["line"].to_list()
    one_a_kind = sample.unique("kind_id", keep="first", maintain_order=True).select(line.alias("line"))
    sides = {
        "pkgraph": lambda url, folder: _ours(sample, url, folder),
        "LightRAG, a line a SKU": lambda url, folder: _lightrag(every_sku, url, folder),
        "LightRAG, a line a kind": lambda url, folder: _lightrag(one_a_kind["line"].to_list(), url, folder),
    }
    for label, side in sides.items():
        if label.startswith("LightRAG") and not with_lightrag:
            continue
        counts = _counter()
        with counting_server(_recorded(), counts) as url, tempfile.TemporaryDirectory() as folder:
            side(url, Path(folder))
        _shown(label, counts.calls, counts.input_tokens, counts.output_tokens, sample.height)
        print(f"{'':44} {dict(counts.by_task)}")


def main() -> None:
    products = read_catalog(CatalogSettings(source="complete_journey")).products
    wanted = "--without-lightrag" not in sys.argv
    is_here = "PKGRAPH_LIGHTRAG_PYTHON" in os.environ or find_spec("lightrag") is not None
    if wanted and not is_here:
        print("LightRAG is not installed: `pip install 'pkgraph[bench]'` into an environment of its own.")
    _whole_shop(products, _counter())
    _packed(products, _counter())
    _compare(products, with_lightrag=wanted and is_here)


if __name__ == "__main__":
    main()
