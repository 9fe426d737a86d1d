"""`cvt` between all types in all roundings, pairs of halves, `.tf32`, random rounding, `cvt.pack`."""

from fractions import Fraction
from itertools import product
from random import Random

import softfloat as sf
from integers import clamp, num, raw, width
from layout import Kernel
from samples import floats, integers

INTEGERS = ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"]
FLOATS = ["f16", "bf16", "f32", "f64"]
INTEGRAL = [".rni", ".rzi", ".rmi", ".rpi"]
ROUNDINGS = [".rn", ".rz", ".rm", ".rp"]


def register(ty, other):
    """The type of an 8-bit operand's register: `.bf16` goes with no wider ones."""
    return f"narrow {ty}" if other == "bf16" and width(ty) == 8 else ty


def limits(ty):
    w = width(ty)
    return (-(1 << (w - 1)), (1 << (w - 1)) - 1) if ty[0] == "s" else (0, (1 << w) - 1)


def can_saturate(to, source):
    """`.sat` is for destinations that do not hold every value of the source."""
    low, high = limits(to)
    least, most = limits(source)
    return least < low or most > high


def between_integers():
    for source in INTEGERS:
        a = integers(width(source), 16, 1)
        for to in INTEGERS:
            k = Kernel(f"cvt_{to}_{source}", [(source, a)], to)
            k.form(f"cvt.{to}.{source} %d, %a;", [raw(num(x, source), to) for x in a])
            if can_saturate(to, source):
                k.form(f"cvt.sat.{to}.{source} %d, %a;", [clamp(num(x, source), to) for x in a])
            yield k


def wide_registers():
    """Operands in registers wider than their types: low bits are read, results extended by their sign or zeros."""
    small, a = ["u8", "s8", "u16", "s16"], integers(32, 16, 11)
    for size in (32, 64):
        k = Kernel(f"cvt_registers_b{size}", [("b32", a)], f"b{size}")
        for source, to in product(small, small):
            values = [raw(num(num(x, source), to), f"u{size}") for x in a]
            k.form(f"cvt.{to}.{source} %d, %a;", values)
        yield k
        b = edges("f32")
        k = Kernel(f"cvt_registers_b{size}_f32", [("f32", b)], f"b{size}")
        for to in small:
            values = [raw(num(to_integer(sf.F32.decode(x), "rzi", to, "f32"), to), f"u{size}") for x in b]
            k.form(f"cvt.rzi.{to}.f32 %d, %a;", values)
        yield k
    k = Kernel("cvt_registers_f32", [("b32", a)], "f32")
    k.form("cvt.f32.f16 %d, %a;", [sf.F32.encode(sf.F16.decode(x & 0xFFFF)) for x in a])
    for source in small:
        k.form(f"cvt.rn.f32.{source} %d, %a;", [sf.F32.encode(sf.exact(Fraction(num(x, source)))) for x in a])
    yield k


def from_integers():
    for source in INTEGERS:
        a = integers(width(source), 20, 2)
        if width(source) >= 32:
            # Ties and near ties of both widths of float.
            a += [0x01000001, 0x01000003, 0x02000002, 0x7FFFFFC0, 0x7FFFFFBF]
        if width(source) == 64:
            a += [(1 << 53) + 1, (1 << 53) + 3, (1 << 62) + (1 << 9), (1 << 63) - 513, (1 << 40) + (1 << 16), (1 << 64) - 1025]
        for to in FLOATS:
            format = sf.FORMATS[to]
            k = Kernel(f"cvt_{to}_{source}", [(register(source, to), a)], to)
            for r, s, f in product(ROUNDINGS, ["", ".sat"], ["", ".ftz"]):
                if s and to == "bf16" or f and to != "f32":
                    continue
                values = [format.round(sf.exact(Fraction(num(x, source))), r[1:]) for x in a]
                values = [format.encode(sf.saturate(v) if s else v) for v in values]
                k.form(f"cvt{r}{f}{s}.{to}.{source} %d, %a;", values)
            yield k


def whole(value, mode):
    """The integer that a finite value is rounded to."""
    exact = sf.signed(value)
    low = exact.numerator // exact.denominator
    rest = exact - low
    up = {
        "rni": rest > Fraction(1, 2) or rest == Fraction(1, 2) and low & 1,
        "rzi": exact < 0 and rest > 0,
        "rmi": False,
        "rpi": rest > 0,
    }[mode]
    return low + bool(up)


def to_integer(value, mode, to, source):
    """Out of range is clamped. NaN: zero, but the top bit alone from `.f64` or to 64 bits."""
    if value is None:
        return 1 << (width(to) - 1) if source == "f64" or width(to) == 64 else 0
    low, high = limits(to)
    if value[1] == sf.INF:
        return raw(low if value[0] else high, to)
    return raw(max(low, min(high, whole(value, mode))), to)


def edges(ty):
    """Special values, halves between integers, both sides of every integer range."""
    format = sf.FORMATS[ty]
    values = floats(ty, 20, 3)
    for n in (Fraction(1, 2), Fraction(3, 2), Fraction(5, 2), 127, 128, 255, 256, 32767, 32768, 65535, 65536):
        values += [format.encode(format.round((s, Fraction(n)))) for s in (0, 1)]
    for power in (31, 32, 63, 64):
        for sign in (0, 1):
            at = format.encode(format.round((sign, Fraction(1 << power))))
            values += [at, at - 1]
    return values


def to_integers():
    for source in FLOATS:
        format, a = sf.FORMATS[source], edges(source)
        for to in INTEGERS:
            k = Kernel(f"cvt_{to}_{source}", [(source, a)], register(to, source))
            ends = [""] if source == "bf16" else ["", ".sat"]
            for r, f, s in product(INTEGRAL, ["", ".ftz"] if source == "f32" else [""], ends):
                flush = format.flush if f else lambda v: v
                values = [to_integer(flush(format.decode(x)), r[1:], to, source) for x in a]
                k.form(f"cvt{r}{f}{s}.{to}.{source} %d, %a;", values)
            yield k


def between_inputs(source, to):
    """Special values and ties of the narrower format."""
    format, narrow = sf.FORMATS[source], sf.FORMATS[to]
    values = floats(source, 24, 4)
    if narrow.mantissa >= format.mantissa:
        return values
    random = Random(5)
    step = 1 << (format.mantissa - narrow.mantissa)
    for bits in (narrow.bias << narrow.mantissa, narrow.top - 1 << narrow.mantissa, 1 << narrow.mantissa, 3, 0):
        at = format.encode(format.round(narrow.decode(bits + random.randrange(4))))
        for ahead in (0, step // 2, step // 2 + 1, step // 2 - 1):
            values.append(at + ahead | random.getrandbits(1) << (format.bits - 1))
    largest = format.encode(format.round((0, min(narrow.largest, format.largest))))
    if narrow.largest > format.largest:
        return values
    half = step // 2
    return values + [largest, largest + half, largest + half - 1, largest + step]


def float_ends(to, source):
    return [""] if "bf16" in (to, source) else ["", ".sat"]


def between_floats():
    for source, to in product(FLOATS, FLOATS):
        format, target = sf.FORMATS[source], sf.FORMATS[to]
        a = between_inputs(source, to)
        k = Kernel(f"cvt_{to}_{source}", [(source, a)], to)
        if source == to:
            modes = ["", *INTEGRAL]
        elif to == "f64" and source != "bf16" or to == "f32" and source == "f16":
            modes = [""]
        elif to == "f64" or to == "f32" and source == "bf16":
            modes = ["", *ROUNDINGS]
        else:
            modes = ROUNDINGS
        for r, f, s in product(modes, ["", ".ftz"] if "f32" in (source, to) else [""], float_ends(to, source)):
            k.form(f"cvt{r}{f}{s}.{to}.{source} %d, %a;", converted(a, format, target, r[1:], f, s))
        if source == "f32" and to in ("f16", "bf16"):
            for r, s in product([".rn", ".rz"], [".relu", ".satfinite", ".relu.satfinite"]):
                k.form(f"cvt{r}{s}.{to}.f32 %d, %a;", converted(a, format, target, r[1:], "", s))
        yield k


def converted(a, format, target, mode, ftz, ends):
    values = []
    for x in a:
        value = format.decode(x)
        if ftz and format is sf.F32:
            value = sf.F32.flush(value)
        if mode.endswith("i") and value is not None and value[1] != sf.INF:
            value = sf.exact(Fraction(whole(value, mode)), value[0])
        if ".satfinite" in ends and value is not None and (value[1] == sf.INF or value[1] > target.largest):
            value = value[0], target.largest
        value = target.round(value, "rn" if mode.endswith("i") or not mode else mode)
        if ftz and target is sf.F32:
            value = sf.F32.flush(value)
        value = sf.relu(value) if ".relu" in ends else value
        value = sf.saturate(value) if ".sat" in ends.split(".satfinite")[0] else value
        values.append(target.encode(value))
    return values


def pairs_of_halves():
    a = between_inputs("f32", "f16") + between_inputs("f32", "bf16")
    b = a[::-1]
    for to in ("f16x2", "bf16x2"):
        target = sf.FORMATS[to]
        k = Kernel(f"cvt_{to}_f32", [("f32", a), ("f32", b)], to, "the first source becomes the upper half")
        for r, s in product([".rn", ".rz"], ["", ".relu", ".satfinite", ".relu.satfinite"]):
            high, low = (converted(v, sf.F32, target, r[1:], "", s) for v in (a, b))
            k.form(f"cvt{r}{s}.{to}.f32 %d, %a, %b;", [x << 16 | y for x, y in zip(high, low)])
        yield k


def bytes_of_floats():
    """Formats of 8 bits; what is too large becomes the largest number."""
    for small, target in (("e4m3x2", sf.E4M3), ("e5m2x2", sf.E5M2)):
        random = Random(9)
        a = floats("f32", 24, 10)
        for bits in range(1, 126, 6):
            # Values of the format and the middles between them.
            at = sf.F32.encode(target.decode(bits))
            a += [at, at + (1 << (22 - target.mantissa)) | random.getrandbits(1) << 31]
        b = a[::-1]
        k = Kernel(f"cvt_{small}_f32", [("f32", a), ("f32", b)], small)
        for end in ("", ".relu"):
            high, low = (converted(v, sf.F32, target, "rn", "", ".satfinite" + end) for v in (a, b))
            k.form(f"cvt.rn.satfinite{end}.{small}.f32 %d, %a, %b;", [x << 8 | y for x, y in zip(high, low)])
        yield k
        halves = [sf.F16.encode(sf.F16.round(sf.F32.decode(x))) for x in a]
        k = Kernel(f"cvt_{small}_f16x2", [("f16x2", [x << 16 | y for x, y in zip(halves, halves[::-1])])], small)
        for end in ("", ".relu"):
            part = converted(halves, sf.F16, target, "rn", "", ".satfinite" + end)
            k.form(f"cvt.rn.satfinite{end}.{small}.f16x2 %d, %a;", [x << 8 | y for x, y in zip(part, part[::-1])])
        yield k
        k = Kernel(f"cvt_f16x2_{small}", [(small, [x << 8 | (x * 7 + 3) % 256 for x in range(0, 256)])], "f16x2")
        for end in ("", ".relu"):
            part = [converted([x], target, sf.F16, "rn", "", end)[0] for x in range(256)]
            k.form(f"cvt.rn{end}.f16x2.{small} %d, %a;", [part[x] << 16 | part[(x * 7 + 3) % 256] for x in range(256)])
        yield k


def tensor_floats():
    a = floats("f32", 24, 6) + [0x3F801000, 0x3F803000, 0x3F800FFF, 0x3F801001, 0xBF801000, 0x7F7FF000, 0x7F7FEFFF, 0x7F7FE000, 0x00001000]
    forms = [*product([".rn", ".rz"], ["", ".relu", ".satfinite", ".relu.satfinite"]), (".rna", ""), (".rna", ".satfinite")]
    for new in (False, True):
        k = Kernel("cvt_tf32_satfinite" if new else "cvt_tf32", [("f32", a)], "tf32")
        for r, s in forms:
            if (".satfinite" in s and r != ".rna") == new:
                values = converted(a, sf.F32, sf.TF32, r[1:], "", s)
                k.form(f"cvt{r}{s}.tf32.f32 %d, %a;", [v << 13 | 0x1FFF * (v == sf.TF32.nan) for v in values])
        yield k


def random_rounding():
    random = Random(7)
    # In the range where halves are normal numbers; there the manual leaves no doubt.
    one = lambda: random.getrandbits(1) << 31 | random.randint(115, 140) << 23 | random.getrandbits(23)
    count = 20
    a, b = [one() for _ in range(count)], [one() for _ in range(count)]
    bits = [0, 0xFFFFFFFF, 0x1FFF1FFF, 0x10001000, 0x00001FFF, 0xFFFF0000] + [random.getrandbits(32) for _ in range(count - 6)]
    for to, dropped in (("f16x2", 13), ("bf16x2", 16)):
        target = sf.FORMATS[to]
        k = Kernel(f"cvt_rs_{to}", [("f32", a), ("f32", b), ("b32", bits)], to, "a carry out of the dropped bits plus random bits rounds away from zero")
        for end in ("", ".relu", ".satfinite", ".relu.satfinite"):

            def one_value(x, bits):
                ones = (1 << dropped) - 1
                cut = (x + (bits & ones)) & ~ones
                return converted([cut], sf.F32, target, "rz", "", end)[0]

            values = [one_value(x, r >> 16) << 16 | one_value(y, r & 0xFFFF) for x, y, r in zip(a, b, bits)]
            k.form(f"cvt.rs{end}.{to}.f32 %d, %a, %b, %c;", values)
        yield k


def packs():
    a = [0, 1, 0xFFFFFFFF, 7, 8, 0xFFFFFFF8, 0xFFFFFFF7, 127, 128, 300, 0x80000000, 0x7FFFFFFF, 40000, 0xFFFF0000]
    b, c = a[5:] + a[:5], integers(32, len(a), 8)
    k = Kernel("cvt_pack", [("s32", a), ("s32", b), ("b32", c)], "u32", "the second source lies lowest")
    for w, sign in product((2, 4, 8, 16), "us"):
        to = f"{sign}{w}"
        values = []
        for x, y, z in zip(a, b, c):
            value = clamp(num(x, "s32"), to) << w | clamp(num(y, "s32"), to)
            values.append(value | z << 2 * w & 0xFFFFFFFF if w < 16 else value)
        k.form(f"cvt.pack.sat.{to}.s32" + (".b32 %d, %a, %b, %c;" if w < 16 else " %d, %a, %b;"), values)
    yield k
