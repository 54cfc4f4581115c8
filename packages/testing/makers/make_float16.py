"""Prints how torch converts float16: two hashes, for packages/contract/src/numbers/half-types.test.ts.

python3 make_float16.py   (torch 2.13.0+cpu, numpy 2.4.6)

- widened: the float32 bits of all codes but NaN, in rising order.
- narrowed: the codes of every middle between two neighbours, with the float32 below and above it, of both
  signs: all places where rounding changes its result.

A hash starts at 0, and each 16 bits, the upper ones of a word first, make it hash · 31 + bits, modulo 2^32.
"""

import numpy as np
import torch


def hash_of(words):
    value = 0
    for word in words.tolist():
        for bits in (word >> 16, word & 0xFFFF):
            value = (value * 31 + bits) % 2**32
    return value


codes = np.arange(65536, dtype=np.uint16)
codes = codes[(codes & 0x7FFF) <= 0x7C00]
widened = torch.from_numpy(codes.view(np.float16).copy()).to(torch.float32).numpy().view(np.uint32)

halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
middles = (halves + np.append(halves[1:], 65536.0)) / 2
bits = middles.astype(np.float32).view(np.uint32)
bits = np.stack([bits - 1, bits, bits + 1], axis=1).reshape(-1)
bits = np.stack([bits, bits | 0x80000000], axis=1).reshape(-1).astype(np.uint32)
narrowed = torch.from_numpy(bits.view(np.float32).copy()).to(torch.float16).numpy().view(np.uint16)

print("torch", torch.__version__, "numpy", np.__version__)
print("widened", len(widened), hash_of(widened))
print("narrowed", len(narrowed), hash_of(narrowed))
