#!/usr/bin/env python3
"""The order of an epoch, written anew from its definition: the known values in src/loader/order.rs.

ChaCha8 with the key (seed, "ordering", 0, 0) in little-endian 64-bit words, the epoch as stream;
32-bit words from it give numbers below a bound by Lemire's method; Fisher-Yates from the end.
"""

import struct

MASK = 0xFFFFFFFF


def rotate(x, n):
    return ((x << n) | (x >> (32 - n))) & MASK


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & MASK
        s[z] = rotate(s[z] ^ s[x], n)


def words(key, stream):
    counter = 0
    while True:
        start = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key))
        start += struct.unpack("<4I", struct.pack("<QQ", counter, stream))
        s = list(start)
        for _ in range(4):
            for i in range(4):
                quarter(s, i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        yield from ((a + b) & MASK for a, b in zip(s, start))
        counter += 1


def below(numbers, bound):
    threshold = (1 << 32) % bound
    while True:
        product = next(numbers) * bound
        if product & MASK >= threshold:
            return product >> 32


def order(examples, seed, epoch):
    numbers = words(struct.pack("<Q", seed) + b"ordering" + bytes(16), epoch)
    result = list(range(examples))
    for last in range(examples - 1, 0, -1):
        other = below(numbers, last + 1)
        result[last], result[other] = result[other], result[last]
    return result


print(order(10, 0, 0))
print(order(10, 0, 1))
print(order(40, 1 << 60, 5))
