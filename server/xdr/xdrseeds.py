#!/usr/bin/env python3
"""xdrseeds.py INPUT.x TYPE COUNT OUTPUT_DIR [PREFIX_HEX]: well-formed values of an XDR type.

A file each, the start of a fuzzer's corpus: what the parser of xdrgen.py knows of the type, filled
with values that servers tend to get wrong. The same arguments make the same files.
PREFIX_HEX: bytes before each.
"""
import random
import struct
import sys
from pathlib import Path

from xdrgen import BASE, Declaration, Enum, Generator, Parser

NUMBERS = [0, 1, 2, 3, 7, 16, 255, 4096, 65536, 1 << 20, 0x7fffffff, 0x80000000, 0xfffffffe,
           0xffffffff]
WIDE = NUMBERS + [1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
NAMES = [b'', b'a', b'b', b'file', b'.', b'..', b'a/b', b'x' * 255, b'x' * 256, b'\xff\xfe', b'0',
         b'root', b'1000@d']
DEPTH_MAX = 24  # below it lists end and unions take their shortest arm


def padded(data):
    return data + bytes(-len(data) % 4)


class Values:
    def __init__(self, parsed, seed):
        self.p = parsed
        self.generator = Generator(parsed, '', '')
        self.types = {t.name: t for t in parsed.types}
        self.constants = dict(parsed.constants)
        self.random = random.Random(seed)

    def bound(self, text, most):
        if not text:
            return most
        number = int(self.constants.get(text, text), 0)
        return min(number, most)

    def opaque(self, d):
        if d.shape == 'fixed':
            size = int(self.constants.get(d.bound, d.bound), 0)
            return padded(self.filler(size))
        data = self.random.choice(NAMES) if d.type == 'string' else self.filler(
            self.random.choice([0, 1, 4, 8, 12, 40]))
        data = data[:self.bound(d.bound, 1 << 16)]
        return struct.pack('>I', len(data)) + padded(data)

    def filler(self, size):
        """The number of a thing that the server gave, which the fuzzer puts right, or noise."""
        if self.random.random() < 0.7:
            return bytes([self.random.randrange(4)] * size)
        return self.random.randbytes(size)

    def many(self, depth):
        return 0 if depth > DEPTH_MAX else self.random.choice([0, 1, 1, 2, 3])

    def one(self, d, depth):
        if d.type in ('opaque', 'string'):
            return self.opaque(d)
        if d.type == 'bool':
            return struct.pack('>I', self.random.randrange(2))
        if d.type in self.p.externs:  # bitmap4
            words = [self.random.choice([0, 1, 1 << self.random.randrange(32),
                                         self.random.getrandbits(32)])
                     for _ in range(self.random.choice([0, 1, 2, 3]))]
            return struct.pack(f'>I{len(words)}I', len(words), *words)
        if d.type in BASE:
            if BASE[d.type].endswith('64_t'):
                return struct.pack('>Q', self.random.choice(WIDE))
            return struct.pack('>I', self.random.choice(NUMBERS))
        if d.type in self.p.typedefs:
            return self.value(d, depth)
        return getattr(self, 'of_' + type(self.types[d.type]).__name__)(self.types[d.type], depth)

    def value(self, declaration, depth=0):
        d = self.generator.resolve(declaration)
        if d.type == 'void':
            return b''
        if d.type in ('opaque', 'string') or d.shape == 'one':
            return self.one(d, depth + 1)
        item = Declaration(d.type, 'item')
        if d.shape == 'fixed':
            size = int(self.constants.get(d.bound, d.bound), 0)
            return b''.join(self.value(item, depth + 1) for _ in range(size))
        count = self.many(depth)
        if d.shape == 'optional' and d.type in self.generator.nodes:
            more = struct.pack('>I', 1)
            return b''.join(more + self.value(item, depth + 1) for _ in range(count)) + bytes(4)
        if d.shape == 'optional':
            there = min(count, 1)
            return struct.pack('>I', there) + (self.value(item, depth + 1) if there else b'')
        count = self.bound(d.bound, count)
        return struct.pack('>I', count) + b''.join(
            self.value(item, depth + 1) for _ in range(count))

    def of_Enum(self, t, _depth):
        return struct.pack('>I', int(self.random.choice(t.members)[1], 0) & 0xffffffff)

    def of_Struct(self, t, depth):
        return b''.join(self.value(m, depth) for m in self.generator.members(t))

    def of_Union(self, t, depth):
        cases, arm = self.random.choice(t.arms)
        label = self.random.choice(cases)
        kind = self.types.get(t.discriminant.type)
        known = dict(kind.members) if isinstance(kind, Enum) else {'TRUE': '1', 'FALSE': '0'}
        number = int(known.get(label, self.constants.get(label, label)), 0) & 0xffffffff
        return struct.pack('>I', number) + self.value(arm, depth)


def main():
    source, name, count, out = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    prefix = bytes.fromhex(sys.argv[5]) if len(sys.argv) > 5 else b''
    values = Values(Parser(source.read_text()).parse(), name)
    out.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        data = values.value(Declaration(name, 'value'))
        (out / f'{name}-{prefix.hex()}-{number}').write_bytes(prefix + data)


if __name__ == '__main__':
    main()
