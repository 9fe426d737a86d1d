"""Integer arithmetic, carry chains, bit counting and fields, logic and shifts; the manual's pseudocode in Python."""

from itertools import product

from layout import Kernel
from samples import integers, pairs

ALL = ["u16", "s16", "u32", "s32", "u64", "s64"]
WIDE = ["u32", "s32", "u64", "s64"]


def width(ty):
    return int(ty[1:].removesuffix("x2"))


def num(bits, ty):
    """The number that bits of a type stand for."""
    w = width(ty)
    bits &= (1 << w) - 1
    return bits - (1 << w) if ty[0] == "s" and bits >> (w - 1) else bits


def raw(number, ty):
    return number & ((1 << width(ty)) - 1)


def clamp(number, ty):
    w = width(ty)
    low, high = (-(1 << (w - 1)), (1 << (w - 1)) - 1) if ty[0] == "s" else (0, (1 << w) - 1)
    return raw(max(low, min(high, number)), ty)


def kernel(name, types, columns, result, note=""):
    return Kernel(name, list(zip(types, columns)), result, note)


def numbers(columns, types):
    return [[num(v, ty) for v, ty in zip(row, types)] for row in zip(*columns)]


def sums():
    for ty in ALL:
        a, b = pairs(width(ty), 20, 1)
        k = kernel(f"add_sub_{ty}", [ty, ty], [a, b], ty)
        rows = numbers([a, b], [ty, ty])
        k.form(f"add.{ty} %d, %a, %b;", [raw(x + y, ty) for x, y in rows])
        k.form(f"sub.{ty} %d, %a, %b;", [raw(x - y, ty) for x, y in rows])
        if ty == "s32":
            k.form("add.sat.s32 %d, %a, %b;", [clamp(x + y, ty) for x, y in rows])
            k.form("sub.sat.s32 %d, %a, %b;", [clamp(x - y, ty) for x, y in rows])
        yield k


def packed():
    for ty in ("u16x2", "s16x2"):
        lane = ty[:-2]
        lows, highs = pairs(16, 16, 2), pairs(16, 16, 3)
        a, b = ([x | y << 16 for x, y in zip(low, high)] for low, high in zip(lows, highs))
        k = kernel(f"packed_{ty}", [ty, ty], [a, b], ty)

        def both(f):
            def one(x, y, shift):
                return raw(f(num(x >> shift, lane), num(y >> shift, lane)), lane) << shift

            return [one(x, y, 0) | one(x, y, 16) for x, y in zip(a, b)]

        k.form(f"add.{ty} %d, %a, %b;", both(lambda x, y: x + y))
        k.form(f"min.{ty} %d, %a, %b;", both(min))
        k.form(f"max.{ty} %d, %a, %b;", both(max))
        if ty == "s16x2":
            k.form("min.relu.s16x2 %d, %a, %b;", both(lambda x, y: max(0, min(x, y))))
            k.form("max.relu.s16x2 %d, %a, %b;", both(lambda x, y: max(0, x, y)))
        yield k


def carries():
    """Each with a carry (or borrow) of 0 and 1 coming in; what goes out is read by `addc`."""
    for ty in WIDE:
        w, full = width(ty), 1 << width(ty)
        a, b = pairs(w, 16, 4)
        a, b, c, e = a * 2, b * 2, [0] * 16 + [1] * 16, integers(w, 32, 5)
        value = kernel(f"carry_{ty}", [ty] * 4, [a, b, c, e], ty)
        flag = kernel(f"carry_out_{ty}", [ty] * 4, [a, b, c, e], ty, "the carry or borrow that goes out")
        carry_in, borrow_in = [f"add.cc.{ty} %d, %c, -1;"], [f"sub.cc.{ty} %d, 0, %c;"]

        def form(line, before, totals):
            line = line.replace(" ", f".{ty} %d, ", 1)
            value.form(line, [t % full for t in totals], before)
            if ".cc." in line:
                # Floor division: 1 for a carry, -1 for a borrow.
                flag.form(line, [abs(t // full) for t in totals], before, [f"addc.{ty} %d, 0, 0;"])

        form("add.cc %a, %b;", [], [x + y for x, y in zip(a, b)])
        form("sub.cc %a, %b;", [], [x - y for x, y in zip(a, b)])
        for end in ("", ".cc"):
            form(f"addc{end} %a, %b;", carry_in, [x + y + z for x, y, z in zip(a, b, c)])
            form(f"subc{end} %a, %b;", borrow_in, [x - y - z for x, y, z in zip(a, b, c)])
        for half in ("lo", "hi"):
            part = [num(x, ty) * num(y, ty) >> (w if half == "hi" else 0) for x, y in zip(a, b)]
            sums = [p % full + z for p, z in zip(part, e)]
            form(f"mad.{half}.cc %a, %b, %e;", [], sums)
            for end in ("", ".cc"):
                form(f"madc.{half}{end} %a, %b, %e;", carry_in, [s + z for s, z in zip(sums, c)])
        yield value
        yield flag


def products():
    for ty in ALL:
        w = width(ty)
        a, b = pairs(w, 20, 6)
        c = integers(w, 20, 7)
        rows = numbers([a, b, c], [ty] * 3)
        k = kernel(f"mul_mad_{ty}", [ty] * 3, [a, b, c], ty)
        for half, at in (("lo", 0), ("hi", w)):
            k.form(f"mul.{half}.{ty} %d, %a, %b;", [raw(x * y >> at, ty) for x, y, _ in rows])
            k.form(f"mad.{half}.{ty} %d, %a, %b, %c;", [raw((x * y >> at) + z, ty) for x, y, z in rows])
        if ty == "s32":
            k.form("mad.hi.sat.s32 %d, %a, %b, %c;", [clamp((x * y >> 32) + z, ty) for x, y, z in rows])
        yield k
        if w == 64:
            continue
        wide = f"{ty[0]}{2 * w}"
        c = integers(2 * w, 20, 8)
        rows = numbers([a, b, c], [ty, ty, wide])
        k = kernel(f"wide_{ty}", [ty, ty, wide], [a, b, c], wide)
        k.form(f"mul.wide.{ty} %d, %a, %b;", [raw(x * y, wide) for x, y, _ in rows])
        k.form(f"mad.wide.{ty} %d, %a, %b, %c;", [raw(x * y + z, wide) for x, y, z in rows])
        yield k
    for ty in ("u32", "s32"):
        (a, b), c = pairs(32, 20, 9), integers(32, 20, 10)
        low = lambda v: num(v & 0xFFFFFF, ty[0] + "24")
        rows = [(low(x) * low(y), num(z, ty)) for x, y, z in zip(a, b, c)]
        k = kernel(f"mul24_{ty}", [ty] * 3, [a, b, c], ty, "48-bit products of the low 24 bits: bits 0 to 31, or 16 to 47")
        for half, at in (("lo", 0), ("hi", 16)):
            part = [num(p >> at, ty) for p, _ in rows]
            k.form(f"mul24.{half}.{ty} %d, %a, %b;", [raw(p, ty) for p in part])
            k.form(f"mad24.{half}.{ty} %d, %a, %b, %c;", [raw(p + z, ty) for p, (_, z) in zip(part, rows)])
            if ty == "s32" and half == "hi":
                k.form("mad24.hi.sat.s32 %d, %a, %b, %c;", [clamp(p + z, ty) for p, (_, z) in zip(part, rows)])
        yield k


def divisions():
    for ty in ALL:
        a, b = pairs(width(ty), 28, 11)
        rows = numbers([a, b], [ty, ty])
        # The manual leaves division by zero and the one quotient that overflows open.
        rows = [(x, y) for x, y in rows if y != 0 and not (y == -1 and x == -(1 << (width(ty) - 1)))]
        k = kernel(f"div_rem_{ty}", [ty, ty], [[raw(v[n], ty) for v in rows] for n in (0, 1)], ty)
        towards_zero = lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        k.form(f"div.{ty} %d, %a, %b;", [raw(towards_zero(x, y), ty) for x, y in rows])
        k.form(f"rem.{ty} %d, %a, %b;", [raw(x - y * towards_zero(x, y), ty) for x, y in rows])
        yield k


def constant_divisions():
    """Compilers turn these into products."""
    for ty in ALL:
        w, signed_ty = width(ty), ty[0] == "s"
        a = integers(w, 12, 23)
        if signed_ty:
            a = [x for x in a if x != 1 << (w - 1)]
        k = kernel(f"constant_div_rem_{ty}", [ty], [a], ty)
        towards_zero = lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        for y in [1, 2, 3, 7, 10, (1 << (w - 1)) - 1, *([-1, -3, -16] if signed_ty else [])]:
            k.form(f"div.{ty} %d, %a, {y};", [raw(towards_zero(num(x, ty), y), ty) for x in a])
            k.form(f"rem.{ty} %d, %a, {y};", [raw(num(x, ty) - y * towards_zero(num(x, ty), y), ty) for x in a])
        yield k


def orders():
    for ty in ALL:
        a, b = pairs(width(ty), 20, 12)
        c = integers(width(ty), 20, 13)
        rows = numbers([a, b, c], [ty] * 3)
        k = kernel(f"order_{ty}", [ty] * 3, [a, b, c], ty)
        k.form(f"min.{ty} %d, %a, %b;", [raw(min(x, y), ty) for x, y, _ in rows])
        k.form(f"max.{ty} %d, %a, %b;", [raw(max(x, y), ty) for x, y, _ in rows])
        k.form(f"sad.{ty} %d, %a, %b, %c;", [raw(abs(x - y) + z, ty) for x, y, z in rows])
        if ty == "s32":
            k.form("min.relu.s32 %d, %a, %b;", [raw(max(0, min(x, y)), ty) for x, y, _ in rows])
            k.form("max.relu.s32 %d, %a, %b;", [raw(max(0, x, y), ty) for x, y, _ in rows])
        if ty[0] == "s":
            k.form(f"abs.{ty} %d, %a;", [raw(abs(x), ty) for x, _, _ in rows])
            k.form(f"neg.{ty} %d, %a;", [raw(-x, ty) for x, _, _ in rows])
        yield k


def counts():
    for w in (32, 64):
        a = integers(w, 20, 14) + [1 << n for n in range(0, w, 9)]
        k = kernel(f"count_b{w}", [f"b{w}"], [a], "u32")
        k.form(f"popc.b{w} %d, %a;", [bin(x).count("1") for x in a])
        k.form(f"clz.b{w} %d, %a;", [w - x.bit_length() for x in a])
        yield k
        k = kernel(f"brev_b{w}", [f"b{w}"], [a], f"b{w}")
        k.form(f"brev.b{w} %d, %a;", [int(format(x, f"0{w}b")[::-1], 2) for x in a])
        yield k
        for ty in (f"u{w}", f"s{w}"):
            found = [(x if num(x, ty) >= 0 else ~x & ((1 << w) - 1)).bit_length() - 1 for x in a]
            k = kernel(f"bfind_{ty}", [ty], [a], "u32")
            k.form(f"bfind.{ty} %d, %a;", [f % (1 << 32) for f in found])
            k.form(f"bfind.shiftamt.{ty} %d, %a;", [w - 1 - f if f >= 0 else 0xFFFFFFFF for f in found])
            yield k
    mask = [0b10110100, 0, 0xFFFFFFFF, 0x80000001, 0xF0F0F0F0]
    rows = [(m, base, offset) for m in mask for base in (0, 4, 31) for offset in (0, 1, 3, -1, -2)]
    k = kernel("fns", ["b32", "u32", "s32"], [[r[0] for r in rows], [r[1] for r in rows], [raw(r[2], "s32") for r in rows]], "u32")
    k.form("fns.b32 %d, %a, %b, %c;", [nth_set_bit(*row) for row in rows])
    yield k


def nth_set_bit(mask, base, offset):
    if offset == 0:
        return base if mask >> base & 1 else 0xFFFFFFFF
    order = range(base, 32) if offset > 0 else range(base, -1, -1)
    found = [bit for bit in order if mask >> bit & 1]
    return found[abs(offset) - 1] if len(found) >= abs(offset) else 0xFFFFFFFF


# Positions and lengths inside, at the end of, past and far past the width; only the low byte counts.
FIELDS = [(0, 0), (0, 8), (4, 8), (31, 1), (31, 2), (0, 32), (1, 31), (32, 1), (40, 8), (63, 1), (60, 8), (0, 64), (5, 100), (255, 255), (256, 8), (3, 264), (33, 0)]  # fmt: skip


def fields():
    for ty in WIDE:
        w = width(ty)
        a = integers(w, len(FIELDS), 15)
        position, length = [p for p, _ in FIELDS], [n for _, n in FIELDS]
        k = kernel(f"bfe_{ty}", [ty, "u32", "u32"], [a, position, length], ty)
        k.form(f"bfe.{ty} %d, %a, %b, %c;", [extract(x, p & 255, n & 255, w, ty[0] == "s") for x, (p, n) in zip(a, FIELDS)])
        yield k
    for w in (32, 64):
        ty = f"b{w}"
        a, b = integers(w, len(FIELDS), 16), integers(w, len(FIELDS), 17)[::-1]
        k = kernel(f"bfi_{ty}", [ty, ty, "u32", "u32"], [a, b, position, length], ty)
        k.form(f"bfi.{ty} %d, %a, %b, %c, %e;", [insert(x, y, p & 255, n & 255, w) for x, y, (p, n) in zip(a, b, FIELDS)])
        yield k
    yield from constant_fields()
    rows = [(x, n) for x in (0x12345678, 0xFFFFFFFF, 0x80, 0x7FFF8000) for n in (0, 1, 8, 16, 31, 32, 33, 0xFFFFFFFF)]
    columns = [[x for x, _ in rows], [n for _, n in rows]]
    for ty in ("u32", "s32"):
        k = kernel(f"szext_{ty}", [ty, "u32"], columns, ty)
        for mode in ("clamp", "wrap"):
            limit = lambda n: min(n, 32) if mode == "clamp" else n & 31
            extend = lambda x, n: raw(num_of(x, n, ty[0] == "s"), ty)
            k.form(f"szext.{mode}.{ty} %d, %a, %b;", [extend(x, limit(n)) for x, n in rows])
        yield k
    rows = [(p, n) for p in (0, 3, 16, 31, 32, 40, 0xFFFFFFFF) for n in (0, 1, 5, 31, 32, 45)]
    k = kernel("bmsk", ["u32", "u32"], [[p for p, _ in rows], [n for _, n in rows]], "b32")
    for mode in ("clamp", "wrap"):
        limit = lambda v: min(v, 32) if mode == "clamp" else v & 31
        k.form(f"bmsk.{mode}.b32 %d, %a, %b;", [((1 << limit(n)) - 1 << limit(p)) & 0xFFFFFFFF for p, n in rows])
    yield k


def constant_fields():
    fields = [(p & 255, n & 255) for p, n in FIELDS]
    for w in (32, 64):
        a, b = integers(w, 8, 24), integers(w, 8, 25)[::-1]
        for ty in (f"u{w}", f"s{w}"):
            k = kernel(f"constant_bfe_{ty}", [ty], [a], ty)
            for p, n in fields:
                k.form(f"bfe.{ty} %d, %a, {p}, {n};", [extract(x, p, n, w, ty[0] == "s") for x in a])
            yield k
        k = kernel(f"constant_bfi_b{w}", [f"b{w}"] * 2, [a, b], f"b{w}")
        for p, n in fields:
            k.form(f"bfi.b{w} %d, %a, %b, {p}, {n};", [insert(x, y, p, n, w) for x, y in zip(a, b)])
        yield k


def num_of(x, bits, is_signed):
    x &= (1 << bits) - 1
    return x - (1 << bits) if is_signed and bits and x >> (bits - 1) else x


def extract(x, position, length, w, is_signed):
    sign = x >> min(position + length - 1, w - 1) & 1 if is_signed and length else 0
    bit = lambda i: x >> (position + i) & 1 if i < length and position + i < w else sign
    return sum(bit(i) << i for i in range(w))


def insert(x, into, position, length, w):
    for i in range(min(length, max(0, w - position))):
        at = 1 << (position + i)
        into = into | at if x >> i & 1 else into & ~at
    return into


def dots():
    (a, b), c = pairs(32, 20, 18), integers(32, 20, 19)
    k = kernel("dot", ["b32", "b32", "u32"], [a, b, c], "u32")
    lane = lambda v, at, w, ty: num(v >> at, f"{ty[0]}{w}")
    for s, t in product(("u32", "s32"), repeat=2):
        rows = list(zip(a, b, c))
        dot = lambda x, y, z: z + sum(lane(x, 8 * i, 8, s) * lane(y, 8 * i, 8, t) for i in range(4))
        k.form(f"dp4a.{s}.{t} %d, %a, %b, %c;", [raw(dot(*r), "u32") for r in rows])
        for half, at in (("lo", 0), ("hi", 16)):
            dot = lambda x, y, z: z + sum(lane(x, 16 * i, 16, s) * lane(y, at + 8 * i, 8, t) for i in range(2))
            k.form(f"dp2a.{half}.{s}.{t} %d, %a, %b, %c;", [raw(dot(*r), "u32") for r in rows])
    yield k


def logic():
    for w in (16, 32, 64):
        ty, ones = f"b{w}", (1 << w) - 1
        a, b = pairs(w, 16, 20)
        k = kernel(f"logic_{ty}", [ty, ty], [a, b], ty)
        k.form(f"and.{ty} %d, %a, %b;", [x & y for x, y in zip(a, b)])
        k.form(f"or.{ty} %d, %a, %b;", [x | y for x, y in zip(a, b)])
        k.form(f"xor.{ty} %d, %a, %b;", [x ^ y for x, y in zip(a, b)])
        k.form(f"not.{ty} %d, %a;", [x ^ ones for x in a])
        k.form(f"cnot.{ty} %d, %a;", [int(x == 0) for x in a])
        yield k
    k = kernel("logic_pred", ["u32", "u32"], [[0, 0, 1, 1], [0, 1, 0, 1]], "u32")
    k.registers = [".reg .pred %q, %r, %s;"]
    before, after = ["setp.ne.u32 %q, %a, 0;", "setp.ne.u32 %r, %b, 0;"], ["selp.u32 %d, 1, 0, %s;"]
    k.form("and.pred %s, %q, %r;", [0, 0, 0, 1], before, after)
    k.form("or.pred %s, %q, %r;", [0, 1, 1, 1], before, after)
    k.form("xor.pred %s, %q, %r;", [0, 1, 1, 0], before, after)
    k.form("not.pred %s, %q;", [1, 1, 0, 0], before, after)
    yield k
    # All eight combinations of three bits meet in each column, so that the table shows in the result.
    a, b, c = [0x0F0F00FF, 0xFFFFFFFF, 0x12345678], [0x33330F0F, 0, 0x9ABCDEF0], [0x55555555, 0xFFFFFFFF, 0x0F1E2D3C]
    a, b, c = a * 2, b * 2, c * 2
    flags = [0] * 3 + [1] * 3
    k = kernel("lop3", ["b32", "b32", "b32", "u32"], [a, b, c, flags], "b32")
    for table in (0x00, 0x01, 0x2A, 0x80, 0x96, 0xCA, 0xE8, 0xFE, 0xFF):
        k.form(f"lop3.b32 %d, %a, %b, %c, {table};", [table_of(table, *row) for row in zip(a, b, c)])
    yield k
    k = kernel("lop3_every_table", ["b32", "b32", "b32"], [a[:2], b[:2], c[:2]], "b32")
    for table in range(256):
        k.form(f"lop3.b32 %d, %a, %b, %c, {table};", [table_of(table, *row) for row in zip(a[:2], b, c)])
    yield k
    k = kernel("lop3_predicate", ["b32", "b32", "b32", "u32"], [a, b, c, flags], "u32", "whether the result is not zero, combined")
    k.registers = [".reg .pred %q, %r;", ".reg .b32 %f;"]
    combine = {"and": lambda x, y: x & y, "or": lambda x, y: x | y}
    for name, f in combine.items():
        for table in (0x00, 0x80, 0x96):
            values = [f(int(table_of(table, *row[:3]) != 0), row[3]) for row in zip(a, b, c, flags)]
            line = f"lop3.{name}.b32 %f|%q, %a, %b, %c, {table}, %r;"
            k.form(line, values, ["setp.ne.u32 %r, %e, 0;"], ["selp.u32 %d, 1, 0, %q;"])
    yield k


def table_of(table, a, b, c):
    bit = lambda i: table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1
    return sum(bit(i) << i for i in range(32))


COUNTS = [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 0x80000000, 0xFFFFFFFF]


def shifts():
    for ty in ["b16", "b32", "b64", *ALL]:
        w = width(ty)
        a = (integers(w, 17, 21) + [0x8001 << (w - 16)] * 17)[:34]
        counts = COUNTS * 2
        k = kernel(f"shift_{ty}", [ty, "u32"], [a, counts], ty)
        if ty[0] == "b":
            k.form(f"shl.{ty} %d, %a, %b;", [x << min(n, w) & ((1 << w) - 1) for x, n in zip(a, counts)])
        k.form(f"shr.{ty} %d, %a, %b;", [raw(num(x, ty) >> min(n, w), ty) for x, n in zip(a, counts)])
        yield k
    for ty in ["b16", "b32", "b64", *ALL]:
        w = width(ty)
        a = integers(w, 8, 26)
        k = kernel(f"constant_shift_{ty}", [ty], [a], ty)
        for n in COUNTS:
            if ty[0] == "b":
                k.form(f"shl.{ty} %d, %a, {n};", [x << min(n, w) & ((1 << w) - 1) for x in a])
            k.form(f"shr.{ty} %d, %a, {n};", [raw(num(x, ty) >> min(n, w), ty) for x in a])
        yield k
    a, b = pairs(32, len(COUNTS), 22)
    k = kernel("funnel", ["b32", "b32", "u32"], [a, b, COUNTS], "b32")
    for direction, mode in product("lr", ("clamp", "wrap")):
        limit = lambda n: min(n, 32) if mode == "clamp" else n & 31
        both = lambda x, y: y << 32 | x
        part = lambda v, n: v << n >> 32 if direction == "l" else v >> n
        values = [part(both(x, y), limit(n)) & 0xFFFFFFFF for x, y, n in zip(a, b, COUNTS)]
        k.form(f"shf.{direction}.{mode}.b32 %d, %a, %b, %c;", values)
    yield k


# The manual's tables: source byte of result bytes 3, 2, 1, 0 for selectors 0 to 3.
PERMUTES = {
    "f4e": ["3210", "4321", "5432", "6543"], "b4e": ["5670", "6701", "7012", "0123"],
    "rc8": ["0000", "1111", "2222", "3333"], "ecl": ["3210", "3211", "3222", "3333"],
    "ecr": ["0000", "1110", "2210", "3210"], "rc16": ["1010", "3232", "1010", "3232"],
}  # fmt: skip


def permutes():
    selectors = [0x3210, 0x7654, 0x0123, 0x8888, 0xFEDC, 0x4B2D, 0x12345, 1, 2, 3, 0xFFFFFFFF]
    count = len(selectors)
    a, b = [0x83C27140, 0x11A233F4] * count, [0xE5160798, 0x7F80FF01] * count
    a, b = a[:count], b[:count]
    k = kernel("prmt", ["b32", "b32", "u32"], [a, b, selectors], "b32")

    def general(x, y, selector):
        result = 0
        for at in range(4):
            nibble = selector >> (4 * at) & 15
            byte = (y << 32 | x) >> (8 * (nibble & 7)) & 255
            result |= (0xFF * (byte >> 7) if nibble & 8 else byte) << (8 * at)
        return result

    k.form("prmt.b32 %d, %a, %b, %c;", [general(*row) for row in zip(a, b, selectors)])
    for mode, table in PERMUTES.items():
        values = [general(x, y, int(table[s & 3], 16)) for x, y, s in zip(a, b, selectors)]
        k.form(f"prmt.b32.{mode} %d, %a, %b, %c;", values)
    yield k
    a, b = a[:4], b[:4]
    k = kernel("constant_prmt", ["b32", "b32"], [a, b], "b32")
    for selector in selectors:
        k.form(f"prmt.b32 %d, %a, %b, {selector};", [general(x, y, selector) for x, y in zip(a, b)])
    for (mode, table), selector in product(PERMUTES.items(), range(4)):
        picked = int(table[selector], 16)
        k.form(f"prmt.b32.{mode} %d, %a, %b, {selector};", [general(x, y, picked) for x, y in zip(a, b)])
    yield k
