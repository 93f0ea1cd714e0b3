"""A second reader of snapshots, made from docs/SNAPSHOT.md and the standard library, without pkgraph."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import unicodedata
import zlib
from pathlib import Path
from typing import Any

CODES = {"<i4": "i", "<i8": "q", "<u1": "B", "<u4": "I", "<u8": "Q", "<f4": "f", "<f8": "d"}
SCALE = 4096


def read_array(path: Path) -> list[Any]:
    """The values of one file, after its header was checked."""
    raw = path.read_bytes()
    magic, version, oldest, dtype, count = struct.unpack_from("<8sHH4x8sQ", raw)
    assert magic == b"PKGRAPH\x00"
    assert oldest == {1: 1, 2: 1, 3: 3}[version]
    assert raw[12:16] + raw[32:60] == bytes(32)
    assert struct.unpack_from("<I", raw, 60)[0] == zlib.crc32(raw[:60])
    code = CODES[dtype.rstrip(b"\x00").decode()]
    assert len(raw) == 64 + count * struct.calcsize(f"<{code}")
    return list(struct.unpack_from(f"<{count}{code}", raw, 64))


def canonical(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_sealed(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    digest = data.pop("digest")
    assert digest == hashlib.sha256(canonical(data)).hexdigest()
    return data


def read_commit(root: Path, sequence: int) -> tuple[dict[str, Any], Path]:
    """A commit, and the folder of its snapshot."""
    commit = read_sealed(root / "commits" / f"{sequence:020}.json")
    folder = root / "snapshots" / commit["snapshot"]
    assert (commit["format_version"], commit["sequence"]) == (1, sequence)
    assert commit["snapshot"].partition("-")[2] == commit["snapshot_id"]
    raw = (folder / "MANIFEST.json").read_bytes()
    assert commit["manifest_sha256"] == hashlib.sha256(raw).hexdigest()
    assert json.loads(raw)["snapshot_id"] == commit["snapshot_id"]
    return commit, folder


class Reader:
    """A snapshot's folder, read whole."""

    def __init__(self, folder: Path) -> None:
        self.manifest = read_sealed(folder / "MANIFEST.json")
        for name, fact in self.manifest["files"].items():
            raw = (folder / name).read_bytes()
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (fact["size"], fact["sha256"]), name
        self.arrays = {
            name.removesuffix(".arr"): read_array(folder / name) for name in self.manifest["files"]
        }
        self.n_kinds = len(self.arrays["kind_category"])
        self.n_skus, self.n_rationales = len(self.arrays["sku_kind"]), len(self.arrays["rationale_order"])
        self.types = self.manifest["relation_types"]

        content = {name: value for name, value in self.manifest.items() if name != "snapshot_id"}
        assert self.manifest["snapshot_id"] == hashlib.sha256(canonical(content)).hexdigest()[:12]

    def __getitem__(self, name: str) -> list[Any]:
        return self.arrays[name]

    def text(self, name: str, row: int) -> str:
        start, end = self.arrays[f"{name}.offsets"][row : row + 2]
        return bytes(self.arrays[f"{name}.bytes"][start:end]).decode()

    def owned(self, offsets: str, item: int) -> range:
        return range(*self.arrays[offsets][item : item + 2])

    def named(self, name: str, word: int) -> str:
        """The text that a word of a card names."""
        start, length = word >> 24, word % 2**24
        return bytes(self.arrays[f"{name}.bytes"][start : start + length]).decode()

    def sku_card(self, row: int) -> tuple[str, str, float, int]:
        words = self["sku_cards"][4 * row : 4 * row + 4]
        price = struct.unpack("<d", struct.pack("<Q", words[2]))[0]
        return self.named("sku_ids", words[0]), self.named("sku_titles", words[1]), price, words[3]

    def kind_card(self, row: int) -> tuple[str, int, int, range, range]:
        title, place, skus, rows = self["kind_cards"][4 * row : 4 * row + 4]
        owned = (range(word >> 24, (word >> 24) + word % 2**24) for word in (skus, rows))
        return (self.named("kind_titles", title), *halves(place), *owned)  # type: ignore[return-value]

    def edge_card(self, row: int) -> tuple[Any, ...]:
        *texts, places, last, share, zero = self["edge_cards"][8 * row : 8 * row + 8]
        tables = ("edge_explanations", "rationale_texts", "rationale_ids", "response_ids")
        named = (self.named(name, word) for name, word in zip(tables, texts, strict=True))
        exact = struct.unpack("<d", struct.pack("<Q", share))[0]
        return *named, *halves(places), last >> 32, last >> 8 & 0xFFFFFF, last & 0xFF, exact, zero

    def row_card(self, row: int) -> tuple[int, int, int, int]:
        first, path = self["row_cards"][2 * row : 2 * row + 2]
        return first >> 32, first % 2**32, *halves(path)

    def row_of(self, sku: str) -> int | None:
        """By the hash table."""
        value, slots = 14695981039346656037, self["sku_slots"]
        for byte in sku.encode():
            value = (value ^ byte) * 1099511628211 % 2**64
        size = 2 ** (len(slots).bit_length() - 1)
        place = (value ^ value >> 32) % size
        while slots[place]:
            row: int = slots[place] % 2**32 - 1
            if slots[place] >> 32 == value >> 32 and self.text("sku_ids", row) == sku:
                return row
            place += 1
        return None

    def paths(self, node: int) -> list[tuple[int, int, int, int]]:
        """(target, weight, edge, via) of every path of a node, from the edges."""
        stated, inferred = self["edge_weight"], self["edge_inferred_weight"]
        if node < self.n_kinds:
            found = [(self["edge_target"][e], stated[e], e, -1) for e in self.owned("edge_offsets", node)]
            for i in self.owned("backward_offsets", node):
                edge = self["backward_edges"][i]
                found.append((self["edge_source"][edge], inferred[edge], edge, -1))
            for i in self.owned("shared_offsets", node):
                edge, via = self["shared_edge"][i], self["shared_via"][i]
                found.append((self["edge_target"][edge], self["shared_weight"][i], edge, via))
            return found
        found = []
        for i in self.owned("rationale_edge_offsets", node - self.n_kinds):
            edge = self["rationale_edges"][i]
            found.append((self["edge_target"][edge], stated[edge], edge, -1))
            one_sided = self.types[self["edge_type"][edge]] in {"accessory", "substitute"}
            if self["edge_source"][edge] >= 0 and not one_sided:
                found.append((self["edge_source"][edge], inferred[edge], edge, -1))
        return found

    def merged(self, node: int) -> list[tuple[int, int, int, int]]:
        """(target, weight, edge, via) of every target, heaviest first."""
        total: dict[int, int] = {}
        best: dict[int, tuple[int, int, int]] = {}
        for target, weight, edge, via in self.paths(node):
            total[target] = total.get(target, 0) + weight
            best[target] = min(best.get(target, (1, 0, 0)), (-weight, edge, via))
        rows = [(target, weight, *best[target][1:]) for target, weight in total.items()]
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    def stored_rows(self, node: int) -> list[tuple[int, int, int, int]]:
        names = ("row_target", "row_weight", "row_edge", "row_via")
        target, weight, edge, via = (self[name] for name in names)
        return [(target[i], weight[i], edge[i], via[i]) for i in self.owned("row_offsets", node)]

    def lists_of_edges(self) -> dict[str, list[list[Any]]]:
        """The edges of every kind by source and by target, and of every rationale."""
        source, target, kind = self["edge_source"], self["edge_target"], self["edge_type"]
        every = range(len(target))
        forward: list[list[Any]] = [[] for _ in range(self.n_kinds + 1)]
        back: list[list[Any]] = [[] for _ in range(self.n_kinds)]
        of_rationale: list[list[Any]] = [[] for _ in range(self.n_rationales)]
        for edge in every:
            forward[source[edge]].append(edge)  # -1, without a source, is the last owner
            of_rationale[self["edge_rationale"][edge]].append(edge)
            if source[edge] >= 0 and self.types[kind[edge]] != "accessory":
                back[target[edge]].append(edge)
        return {"edge": forward, "backward": back, "rationale_edge": of_rationale}

    def shared_pairs(self) -> list[list[tuple[int, int]]]:
        """(via, edge) of every kind, from the purposes that were asked about."""
        found: list[list[tuple[int, int]]] = [[] for _ in range(self.n_kinds)]
        target, share = self["edge_target"], self["edge_probability"]
        for edges in self.lists_of_edges()["rationale_edge"]:
            surest: dict[int, int] = {}
            for edge in sorted(edges, key=lambda edge: (-share[edge], edge)):
                one_sided = self.types[self["edge_type"][edge]] in {"accessory", "substitute"}
                if self["edge_source"][edge] < 0 and not one_sided:
                    surest.setdefault(target[edge], edge)
            members = list(surest.values())[:64]
            for via in members:
                found[target[via]] += [(via, edge) for edge in members if edge != via]
        return [sorted(pairs) for pairs in found]

    def documents(self) -> list[str]:
        """The text of every SKU, kind and rationale."""
        titles = [self.text("sku_titles", row) for row in range(self.n_skus)]
        kinds = [
            f"{self.text('kind_titles', row)} {self.text('category_names', self['kind_category'][row])}"
            for row in range(self.n_kinds)
        ]
        return titles + kinds + [self.text("rationale_texts", row) for row in range(self.n_rationales)]

    def recommend(self, sku: str) -> list[tuple[str, float, str, str]]:
        """(SKU, score, sentence, relation id) for one product, best first."""
        row = self.row_of(sku)
        assert row is not None
        answer = []
        for target, weight, edge, _ in self.stored_rows(self["sku_kind"][row]):
            product = self["kind_skus"][self["kind_sku_offsets"][target]]
            statement = self["edge_statement_offsets"][edge]
            response = self.text("response_ids", self["statement_response"][statement])
            relation = f"{response}-{self['statement_position'][statement]}"
            score = round(1 - math.exp(-weight / SCALE), 6)
            answer.append(
                (self.text("sku_ids", product), score, self.text("edge_explanations", edge), relation)
            )
        return answer


def words_of(text: str) -> set[str]:
    plain = unicodedata.normalize("NFKC", text[:400]).casefold()
    return {word[:24] for word in re.findall(r"[^\W_]+", re.sub("['’]", "", plain))}


def halves(word: int) -> tuple[int, int]:
    """Two signed numbers of 32 bits, the upper one first."""
    lower, upper = struct.unpack("<ii", struct.pack("<Q", word))
    return upper, lower


def weight_of(share: float) -> int:
    return max(1, round(-math.log1p(-min(share, 1 - 2**-12)) * SCALE))
