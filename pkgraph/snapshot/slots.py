"""From a SKU to its row in constant time: a hash table with linear probing, laid out once.

A slot is 0, or holds the upper half of the SKU's hash and below it its row + 1. The hash is FNV-1a of the
UTF-8 bytes in 64 bits, its home slot `(hash ^ hash >> 32) & mask`, where mask + 1 is the largest power of two
that is no greater than the number of slots. Entries stand in the order of home and row and never wrap around,
so the same SKUs have the same table; the last slot is empty, so that a search ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pkgraph.snapshot.layout import Array, Sections, Strings

_START, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_ALL = (1 << 64) - 1
_UPPER = _ALL ^ 0xFFFFFFFF


def hash_of(key: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = _START
    for byte in key:
        value = (value ^ byte) * _PRIME & _ALL
    return value


def _hashes(table: Strings) -> Array:
    """hash_of every text, a byte of all texts at a time."""
    starts, lengths = table.offsets[:-1], np.diff(table.offsets)
    values = np.full(len(table), _START, dtype=np.uint64)
    rows = np.arange(len(table))
    for place in range(int(lengths.max(initial=0))):
        rows = rows[lengths[rows] > place]
        values[rows] = (values[rows] ^ table.data[starts[rows] + place]) * np.uint64(_PRIME)
    return values


def slots_of(table: Strings) -> Array:
    """The hash table of the texts, at most half full.

    Returns:
        uint64 of shape (n_slots,).
    """
    n = len(table)
    mask = (1 << max(2, (2 * n - 1).bit_length())) - 1
    hashes = _hashes(table)
    home = ((hashes ^ (hashes >> np.uint64(32))) & np.uint64(mask)).astype(np.int64)
    order = np.argsort(home, kind="stable")
    place = np.arange(n)
    # An entry stands at its home, or right behind the entry before it.
    place += np.maximum.accumulate(home[order] - place) if n else 0
    slots = np.zeros(max(mask + 1, int(place[-1]) + 2 if n else 0), dtype="<u8")
    slots[place] = (hashes[order] & np.uint64(_UPPER)) | (order + 1).astype(np.uint64)
    return slots


def row_of(s: Sections, sku: str) -> int:
    """Row of a SKU, -1 where the snapshot does not know it."""
    key = sku.encode(errors="surrogatepass")
    value, slots = hash_of(key), s.sku_slots
    mask = (1 << (len(slots).bit_length() - 1)) - 1
    for place in range((value ^ value >> 32) & mask, len(slots)):
        slot = int(slots[place])
        row = (slot & 0xFFFFFFFF) - 1
        if row < 0:
            return -1
        if slot & _UPPER == value & _UPPER and row < len(s.sku_ids) and s.sku_ids.raw(row) == key:
            return row
    return -1
