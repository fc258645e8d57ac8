#!/usr/bin/env python3
"""xdrgen.py INPUT.x OUTPUT_DIR NAMESPACE: our XDR compiler (the language of RFC 4506, section 6).

Makes INPUT.h and INPUT.cc with one C++ type per XDR type and for each
    bool Decode(xdr::Decoder&, T&);
    void Encode(xdr::Encoder&, const T&);
    void Print(std::string&, const T&);

Names stay as they are in the RFCs. enum -> enum class; struct -> struct; union -> struct with the
discriminant and one member per arm, or, with more than WIDE_UNION arms, a std::variant; opaque<>
and string<> -> views into the record; arrays -> std::vector; a list made of `T *next` at a struct's
end -> std::vector of that struct. A line `%extern NAME CPP_TYPE` gives a type that is written by
hand.
Typedefs are resolved here, so that their bounds hold.
"""
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

WIDE_UNION = 8
BASE = {'int': 'int32_t', 'int32_t': 'int32_t', 'uint32_t': 'uint32_t', 'unsigned int': 'uint32_t',
        'hyper': 'int64_t', 'int64_t': 'int64_t', 'unsigned hyper': 'uint64_t',
        'uint64_t': 'uint64_t',
        'bool': 'bool'}


@dataclass
class Declaration:
    type: str            # base, a declared name, 'opaque', 'string' or 'void'
    name: str = ''
    shape: str = 'one'   # one, fixed, counted, optional
    bound: str = ''      # of fixed and counted; '' is none


@dataclass
class Enum:
    name: str
    members: list = field(default_factory=list)


@dataclass
class Struct:
    name: str
    members: list = field(default_factory=list)


@dataclass
class Union:
    name: str
    discriminant: Declaration = None
    arms: list = field(default_factory=list)   # ([case, ...], Declaration)
    default: Declaration = None


class Parser:
    def __init__(self, text):
        self.externs = dict(re.findall(r'^%extern\s+(\w+)\s+(\S+)', text, re.M))
        text = re.sub(r'/\*.*?\*/', ' ', re.sub(r'^%.*$', '', text, flags=re.M), flags=re.S)
        text = re.sub(r'//.*', '', text)
        self.tokens = re.findall(r'0x[0-9a-fA-F]+|-?\d+|\w+|[{}\[\]<>();:,=*]', text)
        self.at = 0
        self.constants, self.typedefs, self.types = [], {}, []

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ''

    def take(self, expected=None):
        token = self.peek()
        if expected is not None and token != expected:
            before = self.tokens[self.at - 6:self.at]
            sys.exit(f'xdrgen: expected {expected!r}, found {token!r} after {before}')
        self.at += 1
        return token

    def type_name(self):
        token = self.take()
        if token == 'unsigned':
            token += ' ' + (self.take() if self.peek() in ('int', 'hyper') else 'int')
        return token

    def declaration(self):
        kind = self.type_name()
        if kind == 'void':
            return Declaration('void')
        if self.peek() == '*':
            self.take()
            return Declaration(kind, self.take(), 'optional')
        made = Declaration(kind, self.take())
        if self.peek() == '[':
            self.take()
            made.shape, made.bound = 'fixed', self.take()
            self.take(']')
        elif self.peek() == '<':
            self.take()
            made.shape = 'counted'
            made.bound = '' if self.peek() == '>' else self.take()
            self.take('>')
        return made

    def parse(self):
        while self.peek():
            word = self.take()
            unknown = lambda: sys.exit(f'xdrgen: {word!r} starts no definition')
            getattr(self, 'do_' + word, unknown)()
            self.take(';')
        return self

    def do_const(self):
        name = self.take()
        self.take('=')
        self.constants.append((name, self.take()))

    def do_typedef(self):
        made = self.declaration()
        self.typedefs[made.name] = made

    def do_enum(self):
        made = Enum(self.take())
        self.take('{')
        while True:
            name = self.take()
            self.take('=')
            made.members.append((name, self.take()))
            if self.take() == '}':
                break
        self.types.append(made)

    def do_struct(self):
        made = Struct(self.take())
        self.take('{')
        while self.peek() != '}':
            made.members.append(self.declaration())
            self.take(';')
        self.take('}')
        self.types.append(made)

    def do_union(self):
        made = Union(self.take())
        self.take('switch')
        self.take('(')
        made.discriminant = self.declaration()
        self.take(')')
        self.take('{')
        while self.peek() != '}':
            cases = []
            while self.peek() == 'case':
                self.take()
                cases.append(self.take())
                self.take(':')
            if not cases:
                self.take('default')
                self.take(':')
                made.default = self.declaration()
            else:
                made.arms.append((cases, self.declaration()))
            self.take(';')
        self.take('}')
        self.types.append(made)


class Generator:
    def __init__(self, parsed, namespace, base):
        self.p, self.namespace, self.base = parsed, namespace, base
        self.enums = {t.name: t for t in parsed.types if isinstance(t, Enum)}
        # Structs that end in a pointer to themselves are list nodes.
        self.nodes = {t.name for t in parsed.types if isinstance(t, Struct) and t.members and
                      t.members[-1].shape == 'optional' and t.members[-1].type == t.name}

    def resolve(self, d):
        """The declaration with typedefs replaced.

        An array of a typedef that is an array keeps the inner one.
        """
        while d.type in self.p.typedefs:
            inner = self.p.typedefs[d.type]
            if inner.shape != 'one' and d.shape != 'one':
                return d
            source = d if inner.shape == 'one' else inner
            shape, bound = source.shape, source.bound
            d = Declaration(inner.type, d.name, shape, bound)
        return d

    def element(self, d):
        return Declaration(d.type, 'item')

    def cpp(self, d):
        d = self.resolve(d)
        if d.type == 'opaque':
            return f'std::array<std::byte, {d.bound}>' if d.shape == 'fixed' else 'xdr::Opaque'
        if d.type == 'string':
            return 'std::string_view'
        one = BASE.get(d.type) or self.p.externs.get(d.type) or \
            (self.cpp(self.element(d)) if d.type in self.p.typedefs else d.type)
        if d.shape == 'counted' or (d.shape == 'optional' and d.type in self.nodes):
            return f'std::vector<{one}>'
        if d.shape == 'fixed':
            return f'std::array<{one}, {d.bound}>'
        if d.shape == 'optional':
            return f'std::optional<{one}>'
        return one

    def one(self, verb, d, value):
        """Code for a single value: a condition for Decode, a statement for the others."""
        d = self.resolve(d)
        bound = d.bound or 'UINT32_MAX'
        if d.type == 'opaque' and d.shape == 'fixed':
            return {'d': f'from.GetFixed({value})', 'e': f'to.PutFixed({value});',
                    'p': f'xdr::PrintOpaque(out, {value});'}[verb]
        if d.type == 'opaque':
            return {'d': f'from.GetOpaque({value}, {bound})', 'e': f'to.PutOpaque({value});',
                    'p': f'xdr::PrintOpaque(out, {value});'}[verb]
        if d.type == 'string':
            return {'d': f'from.GetString({value}, {bound})', 'e': f'to.PutString({value});',
                    'p': f'xdr::PrintText(out, {value});'}[verb]
        if d.type in BASE:
            wide = 'int64_t' if BASE[d.type].startswith('int') else 'uint64_t'
            return {'d': f'from.Get({value})', 'e': f'to.Put({value});',
                    'p': f'xdr::PrintNumber(out, {wide}{{{value}}});'}[verb]
        return {'d': f'Decode(from, {value})', 'e': f'Encode(to, {value});',
                'p': f'Print(out, {value});'}[verb]

    def lines(self, verb, d, value):
        r = self.resolve(d)
        fail = lambda code: f'  if (!{code}) return false;' if verb == 'd' else f'  {code}'
        counted = r.type == 'opaque' and r.shape == 'counted' and d.shape == 'x'
        if r.type in ('opaque', 'string') and not counted:
            return [fail(self.one(verb, r, value))]
        if r.shape == 'one':
            return [fail(self.one(verb, r, value))]
        if r.shape == 'optional' and r.type in self.nodes:
            return self.list_lines(verb, r, value)
        if r.shape == 'optional':
            return self.optional_lines(verb, r, value)
        body = self.one(verb, self.element(r), 'item')
        if verb == 'd':
            out = [] if r.shape == 'fixed' else [
                '  {', '    uint32_t count = 0;',
                f'    if (!from.GetCount(count, {r.bound or "UINT32_MAX"})) return false;',
                f'    {value}.resize(count);', '  }']
            return out + [f'  for (auto& item : {value})', f'    if (!{body}) return false;']
        if verb == 'e':
            size = f'  to.Put(static_cast<uint32_t>({value}.size()));'
            out = [] if r.shape == 'fixed' else [size]
            return out + [f'  for (const auto& item : {value}) {body}']
        return ["  out += '[';", f'  for (const auto& item : {value}) {{', f'    {body}',
                "    out += ' ';", '  }',
                "  out += ']';"]

    def optional_lines(self, verb, r, value):
        body = self.one(verb, self.element(r), f'*{value}' if verb != 'd' else f'{value}.emplace()')
        if verb == 'd':
            return ['  {', '    bool present = false;', '    if (!from.Get(present)) return false;',
                    f'    {value}.reset();', f'    if (present && !{body}) return false;', '  }']
        if verb == 'e':
            return [f'  to.Put({value}.has_value());', f'  if ({value}) {body}']
        return [f'  if ({value}) {body}']

    def list_lines(self, verb, r, value):
        if verb == 'd':
            return ['  for (bool more = true;;) {', '    if (!from.Get(more)) return false;',
                    '    if (!more) break;',
                    f'    if (!Decode(from, {value}.emplace_back())) return false;', '  }']
        if verb == 'e':
            return [f'  for (const auto& item : {value}) {{', '    to.Put(true);',
                    '    Encode(to, item);', '  }',
                    '  to.Put(false);']
        return ["  out += '[';", f'  for (const auto& item : {value}) Print(out, item);',
                "  out += ']';"]

    def members(self, t):
        return t.members[:-1] if t.name in self.nodes else t.members

    # --- the header ---
    def header(self):
        out = ['// Made by server/xdr/xdrgen.py; do not edit.', '#pragma once', '',
               '#include <optional>', '#include <variant>', '', '#include "server/xdr/codec.h"', '',
               f'namespace {self.namespace} {{', '']
        for name, value in self.p.constants:
            kind = 'uint64_t' if int(value, 0) > 0xffffffff else 'uint32_t'
            out.append(f'inline constexpr {kind} {name} = {value};')
        for name, cpp in self.p.externs.items():
            out.append(f'using {name} = {cpp};')
        seen = set(self.p.typedefs)
        for t in self.p.types:
            out += getattr(self, 'head_' + type(t).__name__)(t)
        # Aliases come last: members spell resolved types, so nothing in between needs them.
        out += [f'using {name} = {self.cpp(d)};'
                for name, d in self.p.typedefs.items() if name in seen]
        for t in self.p.types:
            out += ['', f'bool Decode(xdr::Decoder& from, {t.name}& value);',
                    f'void Encode(xdr::Encoder& to, const {t.name}& value);',
                    f'void Print(std::string& out, const {t.name}& value);']
            if isinstance(t, Enum):
                out.append(f'std::string_view Name({t.name} value);')
        return out + ['', f'}}  // namespace {self.namespace}', '']

    def head_Enum(self, t):
        rows = [f'  {name} = {value},' if not value.startswith('-')
                else f'  {name} = 0xffffffff & {value},'
                for name, value in t.members]
        return ['', f'enum class {t.name} : uint32_t {{', *rows, '};', f'using enum {t.name};']

    def head_Struct(self, t):
        rows = [f'  {self.cpp(m)} {m.name}{{}};' for m in self.members(t)]
        return ['', f'struct {t.name} {{', *rows, '};']

    def arms(self, t):
        every = [(cases, d) for cases, d in t.arms]
        return every + ([(None, t.default)] if t.default else [])

    def head_Union(self, t):
        out = ['', f'struct {t.name} {{',
               f'  {self.cpp(t.discriminant)} {t.discriminant.name}{{}};']
        if len(t.arms) > WIDE_UNION:
            kinds = dict.fromkeys(self.cpp(d) for _, d in self.arms(t) if d.type != 'void')
            return out + [f'  std::variant<std::monostate, {", ".join(kinds)}> u;', '};']
        members = dict.fromkeys(f'  {self.cpp(d)} {d.name}{{}};'
                                for _, d in self.arms(t) if d.type != 'void')
        return out + list(members) + ['};']

    # --- the code ---
    def source(self):
        out = ['// Made by server/xdr/xdrgen.py; do not edit.', f'#include "api/{self.base}.h"', '',
               f'namespace {self.namespace} {{']
        for t in self.p.types:
            out += getattr(self, 'body_' + type(t).__name__)(t)
        return out + ['', f'}}  // namespace {self.namespace}', '']

    def body_Enum(self, t):
        n = t.name
        # An unknown value is carried, not refused: what it means is the reader's business (RFC 8881
        # section 15.1).
        return ['', f'std::string_view Name({n} value) {{', '  switch (value) {',
                *[f'    case {n}::{m}: return "{m}";' for m, _ in t.members], '  }',
                '  return "?";', '}',
                f'bool Decode(xdr::Decoder& from, {n}& value) {{', '  uint32_t raw = 0;',
                '  if (!from.Get(raw)) return false;', f'  value = static_cast<{n}>(raw);',
                '  return true;', '}',
                f'void Encode(xdr::Encoder& to, const {n}& value) {{ '
                'to.Put(static_cast<uint32_t>(value)); }',
                f'void Print(std::string& out, const {n}& value) {{', '  out += Name(value);',
                '  if (out.back() == \'?\') '
                'xdr::PrintNumber(out, uint64_t{static_cast<uint32_t>(value)});', '}']

    def body_Struct(self, t):
        unused = '' if self.members(t) else '[[maybe_unused]] '
        d, e, p = [], [], ["  out += '{';"]
        for m in self.members(t):
            d += self.lines('d', m, f'value.{m.name}')
            e += self.lines('e', m, f'value.{m.name}')
            p += [f'  out += " {m.name}=";'] + self.lines('p', m, f'value.{m.name}')
        return self.three(t.name, unused, d + ['  return true;'], e, p + ['  out += " }";'])

    def three(self, name, unused, d, e, p):
        return ['', f'bool Decode({unused}xdr::Decoder& from, {unused}{name}& value) {{', *d, '}',
                f'void Encode({unused}xdr::Encoder& to, {unused}const {name}& value) {{', *e, '}',
                f'void Print(std::string& out, {unused}const {name}& value) {{', *p, '}']

    def body_Union(self, t):
        wide = len(t.arms) > WIDE_UNION
        disc = self.resolve(t.discriminant)
        name = t.discriminant.name
        code = {}
        for verb in 'dep':
            rows = self.lines(verb, t.discriminant, f'value.{name}')
            rows += [f'  switch (value.{name}) {{'] if disc.type != 'bool' else [
                f'  switch (static_cast<int>(value.{name})) {{']
            for cases, d in t.arms:
                rows += [f'    case {self.case(disc, c)}:' for c in cases]
                rows += ['    {'] + self.arm(verb, d, wide) + ['    }']
            none = ['      return false;' if verb == 'd' else '      return;']
            rows += ['    default: {', *(self.arm(verb, t.default, wide) if t.default else none)]
            rows += ['    }', '  }']
            code[verb] = rows
        return self.three(t.name, '', code['d'], code['e'], code['p'])

    def case(self, disc, label):
        if disc.type == 'bool':
            return {'TRUE': '1', 'FALSE': '0'}.get(label, label)
        return f'{disc.type}::{label}' if disc.type in self.enums else label

    def arm(self, verb, d, wide):
        end = '      return true;' if verb == 'd' else '      return;'
        if d.type == 'void':
            return [end]
        if not wide:
            return [*self.lines(verb, d, f'value.{d.name}'), end]
        if verb == 'd':
            return [f'      auto& arm = value.u.emplace<{self.cpp(d)}>();',
                    *self.lines(verb, d, 'arm'), end]
        return [f'      const auto& arm = std::get<{self.cpp(d)}>(value.u);',
                *self.lines(verb, d, 'arm'), end]


def main():
    source, out, namespace = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    made = Generator(Parser(source.read_text()).parse(), namespace, source.stem)
    (out / f'{source.stem}.h').write_text('\n'.join(made.header()))
    (out / f'{source.stem}.cc').write_text('\n'.join(made.source()))


if __name__ == '__main__':
    main()
