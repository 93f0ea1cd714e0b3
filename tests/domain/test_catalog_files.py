"""A catalog from a file: what is kept is what was delivered, what is refused says why and where."""

from __future__ import annotations

import gzip
import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.catalog import Delivery, read_catalog
from pkgraph.catalog.cleaning import REFUSALS, REPEATS
from pkgraph.catalog.files import read_rows
from pkgraph.catalog.rows import FAULTS
from pkgraph.catalog.sources import Limits
from pkgraph.errors import CatalogError
from pkgraph.settings import CatalogColumns, CatalogSettings
from pkgraph.tables import PRODUCTS, REJECTED_PRODUCTS

COLUMNS = CatalogColumns(sku="art", title="name", category="shelf", kind="type", price="eur")
HEADER = "art,name,shelf,type,eur\n"
GOOD = "00123,Whole milk 1L,Dairy,milk,1.20\n"


def _read(path: Path | str, columns: CatalogColumns = COLUMNS) -> Delivery:
    return read_catalog(CatalogSettings.model_validate({"path": str(path), "columns": columns}))


def _delivered(
    folder: Path, text: str | bytes, name: str = "shop.csv", columns: CatalogColumns = COLUMNS
) -> Delivery:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return _read(path, columns)


def _reasons(delivery: Delivery) -> list[tuple[int, str]]:
    return list(delivery.rejected.select("row", "reason").iter_rows())


def test_an_id_keeps_its_leading_zeros_in_every_format(tmp_path: Path) -> None:
    row = {"art": "00123", "name": "Milk", "shelf": "Dairy", "type": "milk", "eur": "1.20"}
    pl.DataFrame([row]).write_parquet(tmp_path / "shop.parquet")
    texts = {
        "shop.csv": (HEADER + GOOD).encode(),
        "shop.csv.gz": gzip.compress((HEADER + GOOD).encode()),
        "shop.tsv": (HEADER + GOOD).replace(",", "\t").encode(),
        "shop.jsonl": json.dumps(row).encode(),
        "shop.jsonl.gz": gzip.compress(json.dumps(row).encode()),
        "shop.parquet": (tmp_path / "shop.parquet").read_bytes(),
    }
    for name, data in texts.items():
        found = _delivered(tmp_path, data, name).products
        assert found.select("sku", "kind", "price").rows() == [("00123", "milk", 1.2)], name


def test_a_number_in_json_is_an_id_with_the_digits_it_was_written_with(tmp_path: Path) -> None:
    line = '{"art": 12345678901234567890123, "name": "Milk", "shelf": "Dairy", "type": "milk", "eur": 1.50}'
    assert _delivered(tmp_path, line, "shop.jsonl").products["sku"].to_list() == ["12345678901234567890123"]


def test_a_file_is_read_by_url(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(HEADER + GOOD)
    assert _read((tmp_path / "shop.csv").as_uri()).products.height == 1


BAD_ROWS: dict[str, str | bytes] = {
    "ragged_row": "1,Milk,Dairy\n",
    "bad_quoting": '1,"Milk,Dairy,milk,2\n',
    "line_too_long": "1," + "x" * 210_000 + ",Dairy,milk,2\n",
    "wrong_encoding": b"1,Caf\xe9,Dairy,milk,2\n",
    "unprintable_text": "1,Mi\x00lk,Dairy,milk,2\n",
    "text_too_long": "1," + "x" * 1001 + ",Dairy,milk,2\n",
    "missing_sku": " ,Milk,Dairy,milk,2\n",
    "missing_category": "1,Milk, ,milk,2\n",
    "missing_title": "1,,Dairy,milk,2\n",
    "missing_kind": "1,Milk,Dairy,,2\n",
    "unreadable_price": "1,Milk,Dairy,milk,2 EUR\n",
    "negative_price": "1,Milk,Dairy,milk,-2\n",
    "duplicate_row": GOOD,
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_costs_that_row_and_is_listed_with_line_and_reason(tmp_path: Path, reason: str) -> None:
    bad = BAD_ROWS[reason]
    bad = bad if isinstance(bad, bytes) else bad.encode()
    after = b"00999,Rye bread,Bakery,bread,3\n"
    delivery = _delivered(tmp_path, (HEADER + GOOD).encode() + bad + after)

    assert delivery.products["sku"].to_list() == ["00123", "00999"]
    assert _reasons(delivery) == [(3, reason)]
    assert delivery.n_rows == 3


BAD_LINES = {
    "not_json": '{"art": ',
    "not_an_object": '["art"]',
    "not_text": '{"art": "1", "name": ["Milk"], "shelf": "Dairy", "type": "milk", "eur": 2}',
    "wrong_encoding": '{"art": "1", "name": "Mi\\ud800lk", "shelf": "Dairy", "type": "milk", "eur": 2}',
    "unreadable_price": '{"art": "1", "name": "Milk", "shelf": "Dairy", "type": "milk", "eur": NaN}',
    "missing_title": '{"art": "1", "shelf": "Dairy", "type": "milk", "eur": 2}',
    "line_too_long": '"' + "x" * 450_000 + '"',
}


@pytest.mark.parametrize("reason", BAD_LINES)
def test_a_bad_line_of_json_costs_that_line(tmp_path: Path, reason: str) -> None:
    good = '{"art": "00123", "name": "Milk", "shelf": "Dairy", "type": "milk", "eur": null}'
    delivery = _delivered(tmp_path, f"{BAD_LINES[reason]}\n\n{good}\n", "shop.jsonl")

    assert delivery.products["sku"].to_list() == ["00123"]
    assert _reasons(delivery) == [(1, reason)]


def test_deeply_nested_json_costs_its_line(tmp_path: Path) -> None:
    good = '{"art": "00123", "name": "Milk", "shelf": "Dairy", "type": "milk", "eur": null}'
    assert _reasons(_delivered(tmp_path, "[" * 100_000 + f"\n{good}\n", "shop.jsonl")) == [(1, "not_json")]


def test_an_unclosed_quote_gives_back_the_rows_it_swallowed(tmp_path: Path) -> None:
    rows = "".join(f'{i:05d},"Milk, {i}",Dairy,milk,1\n' for i in range(500))
    delivery = _delivered(tmp_path, HEADER + '9,"open,Dairy,milk,1\n' + rows)
    assert delivery.products.height == 500
    assert _reasons(delivery) == [(2, "bad_quoting")]


def test_a_quoted_title_may_hold_delimiter_quote_and_line_break(tmp_path: Path) -> None:
    delivery = _delivered(tmp_path, HEADER + '1,"Pipe, 3""\r\nblue",DIY,pipe,2\n' + GOOD)
    assert delivery.products["title"].to_list() == ["Whole milk 1L", 'Pipe, 3" blue']


def test_byte_order_mark_mixed_newlines_and_blank_lines_change_nothing(tmp_path: Path) -> None:
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + "\n" + GOOD + "\r" + GOOD.replace("00123", "00124")
    assert _delivered(tmp_path, text).products["sku"].to_list() == ["00123", "00124"]


def test_texts_that_differ_in_unicode_form_alone_are_one(tmp_path: Path) -> None:
    rows = "1,Caf\u00e9,Dairy,x,\n1,Cafe\u0301,Dairy,x,\n"
    delivery = _delivered(tmp_path, HEADER + rows)
    assert delivery.products["title"].to_list() == ["Caf\u00e9"]
    assert _reasons(delivery) == [(3, "duplicate_row")]


def test_case_stays_and_outer_whitespace_goes(tmp_path: Path) -> None:
    row = _delivered(tmp_path, HEADER + " 1 ,  Whole  MILK ,Dairy,Milk , 2 \n").products.row(0, named=True)
    assert (row["sku"], row["title"], row["kind"], row["price"]) == ("1", "Whole  MILK", "Milk", 2.0)


def test_rows_of_one_id_that_say_different_things_are_all_refused(tmp_path: Path) -> None:
    rows = "1,Milk,Dairy,milk,1\n1,Milk,Dairy,milk,1\n1,Soap,Drugs,soap,1\n"
    delivery = _delivered(tmp_path, HEADER + GOOD + rows)
    assert delivery.products["sku"].to_list() == ["00123"]
    assert _reasons(delivery) == [(n, "conflicting_sku") for n in (3, 4, 5)]


def test_a_bad_twin_does_not_take_the_good_one_with_it(tmp_path: Path) -> None:
    delivery = _delivered(tmp_path, HEADER + GOOD + GOOD.replace("1.20", "much"))
    assert delivery.products.height == 1
    assert _reasons(delivery) == [(3, "unreadable_price")]


def test_prices_that_are_written_differently_are_no_conflict(tmp_path: Path) -> None:
    delivery = _delivered(tmp_path, HEADER + GOOD + GOOD.replace("1.20", "1.2"))
    assert _reasons(delivery) == [(3, "duplicate_row")]


@pytest.mark.parametrize("name", ["shop.csv", "shop.jsonl", "shop.parquet"])
def test_missing_columns_are_one_error_that_names_them_and_what_there_is(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"art": ["1"], "title": ["Milk"], "shelf": ["Dairy"]})
    frame.write_csv(tmp_path / "shop.csv")
    frame.write_ndjson(tmp_path / "shop.jsonl")
    frame.write_parquet(tmp_path / "shop.parquet")
    with pytest.raises(
        CatalogError, match=r"lacks columns 'name' .*, 'type' .*, 'eur' .*it has 'art', 'title'"
    ):
        _read(tmp_path / name)


UNUSABLE = {
    "is empty": b"",
    "holds no rows": HEADER.encode(),
    "UTF-16": HEADER.encode("utf-16"),
    "header of .* is not UTF-8": b"caf\xe9," + HEADER.encode(),
    "more than one column art": b"art," + HEADER.encode() + b"1," + GOOD.encode(),
    "breaks off or is damaged": gzip.compress(HEADER.encode() + GOOD.encode() * 999)[:-20],
    r"None of the 2 rows .*missing_category \(2\)": HEADER.encode() + b"1,a,,a,1\n2,a,,a,1\n",
}


@pytest.mark.parametrize("message", UNUSABLE)
def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        _delivered(tmp_path, UNUSABLE[message])


def test_a_missing_file_an_unknown_format_and_an_unknown_store_are_clear_errors(tmp_path: Path) -> None:
    for path, message in {
        str(tmp_path / "none.csv"): "There is no file",
        str(tmp_path): "does not tell its format",
        "nostore://shop.csv": "cannot be opened",
    }.items():
        with pytest.raises(CatalogError, match=message):
            _read(path)


def test_something_else_under_the_name_of_parquet_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read as Parquet"):
        _delivered(tmp_path, HEADER + GOOD, "shop.parquet")


def test_a_million_columns_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"header of .* cannot be read"):
        _delivered(tmp_path, ",".join(["a"] * 1_000_000) + "\n")


def test_an_id_stored_as_float_is_refused_because_it_lost_digits(tmp_path: Path) -> None:
    frame = pl.DataFrame({"art": [123.0], "name": ["a"], "shelf": ["b"], "type": ["c"], "eur": [1.0]})
    frame.write_parquet(tmp_path / "shop.parquet")
    with pytest.raises(CatalogError, match=r"no text: art \(Float64\)"):
        _read(tmp_path / "shop.parquet")


def test_too_many_rows_are_refused_in_every_format(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [str(i) for i in range(20)]})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_ndjson(tmp_path / "t.jsonl")
    frame.write_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        assert read_rows(str(tmp_path / name), None, {"a": "a"}, Limits(n_rows=20)).height == 20
        with pytest.raises(CatalogError, match="more than 19 rows"):
            read_rows(str(tmp_path / name), None, {"a": "a"}, Limits(n_rows=19))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a\n" + b"x" * 100_000_000))
    pl.select(a=pl.repeat("x" * 1000, 2_000_000)).write_parquet(tmp_path / "bomb.parquet")
    for name in ("bomb.csv.gz", "bomb.parquet"):
        assert (tmp_path / name).stat().st_size < 200_000
        with pytest.raises(CatalogError, match=r"holds more than .* bytes"):
            read_rows(str(tmp_path / name), None, {"a": "a"})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=12))
def test_no_row_is_lost_whatever_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("any") / "shop.csv"
    path.write_bytes(
        (HEADER + GOOD).encode() + b"\n".join(lines) + b"\n" + GOOD.replace("00123", "zz").encode()
    )
    delivery = _read(path)

    assert delivery.products.height + delivery.rejected.height == delivery.n_rows
    assert delivery.products.schema == PRODUCTS.schema
    assert delivery.rejected.schema == REJECTED_PRODUCTS.schema
    assert delivery.rejected["row"].is_unique().all()
    assert "00123" in delivery.products["sku"].to_list() + delivery.rejected["sku"].to_list()


def test_every_reason_has_a_counterexample() -> None:
    documented = {*FAULTS, *REFUSALS, *REPEATS}
    assert {*BAD_ROWS, *BAD_LINES, "conflicting_sku"} == documented


def test_a_file_is_read_over_http_and_an_answer_without_it_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(HEADER + GOOD)
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert _read(f"{url}/shop.csv?day=1").products["sku"].to_list() == ["00123"]
        with pytest.raises(CatalogError, match="There is no file"):
            _read(f"{url}/none.csv")
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""
