"""`set`, `setp`, `selp`, `slct` in every type, comparison and boolean combination."""

from itertools import product

import softfloat as sf
from integers import num, width
from layout import Kernel
from samples import floats, pairs

INTEGERS = ["u16", "s16", "u32", "s32", "u64", "s64"]
BITS = ["b16", "b32", "b64"]
FLOATS = ["f32", "f64", "f16", "f16x2", "bf16", "bf16x2"]
ORDERED = ["eq", "ne", "lt", "le", "gt", "ge"]
UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
UNORDERED = ["equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"]
COMBINE = {"": lambda t, c: t, ".and": lambda t, c: t & c, ".or": lambda t, c: t | c, ".xor": lambda t, c: t ^ c}
HOLDS = {
    "eq": lambda less, equal: equal, "ne": lambda less, equal: not equal, "lt": lambda less, equal: less,
    "le": lambda less, equal: less or equal, "gt": lambda less, equal: not (less or equal), "ge": lambda less, equal: not less,
}  # fmt: skip


def comparisons(ty):
    if ty in FLOATS:
        return ORDERED + UNORDERED
    if ty in BITS:
        return ["eq", "ne"]
    return ORDERED + (list(UNSIGNED) if ty[0] == "u" else [])


def compare(cmp, ty, x, y, ftz):
    """0 or 1; bits of one lane."""
    if ty not in FLOATS:
        x, y = num(x, ty), num(y, ty)
        return int(HOLDS[UNSIGNED.get(cmp, cmp)](x < y, x == y))
    format = sf.FORMATS[ty]
    x, y = format.decode(x), format.decode(y)
    if ftz:
        x, y = format.flush(x), format.flush(y)
    unordered = x is None or y is None
    if cmp in ("num", "nan"):
        return int(unordered == (cmp == "nan"))
    if unordered:
        return int(cmp in UNORDERED)
    equal = sf.equal(x, y)
    return int(HOLDS[cmp.removesuffix("u")](not equal and sf.less(x, y), equal))


def inputs(ty):
    """Smaller, equal, greater; for floats zeros of both signs, subnormals, infinities and NaN."""
    if ty not in FLOATS:
        w = width(ty)
        top = 1 << (w - 1)
        both = [(0, 0), (1, 2), (top, top - 1), (top - 1, top), (2 * top - 1, 0), (5, 5), (5, 2 * top - 1)]
    else:
        format = sf.FORMATS[ty]
        one, top, infinity = format.bias << format.mantissa, 1 << (format.bits - 1), format.top << format.mantissa
        both = [(one, one), (one, one + 1), (one | top, one), (0, top), (1, 0), (infinity, infinity - 1), (format.nan, one), (one, format.nan), (infinity | top, infinity)]  # fmt: skip
    if "x2" in ty:
        both = [(x | u << 16, y | v << 16) for (x, y), (u, v) in zip(both, both[4:] + both[:4])]
    return [x for x, _ in both], [y for _, y in both]


def lanes(ty, cmp, a, b, ftz):
    """The comparison of each element, lane by lane."""
    if "x2" not in ty:
        return [[compare(cmp, ty, x, y, ftz)] for x, y in zip(a, b)]
    at = lambda v, shift: v >> shift & 0xFFFF
    return [[compare(cmp, ty, at(x, s), at(y, s), ftz) for s in (0, 16)] for x, y in zip(a, b)]


def flushes(ty):
    return ["", ".ftz"] if ty in ("f32", "f16", "f16x2") else [""]


def with_flag(ty):
    """The inputs once with a false and once with a true predicate."""
    a, b = inputs(ty)
    return a * 2, b * 2, [0] * len(a) + [1] * len(a)


def predicates():
    for ty in [*BITS, *INTEGERS, *FLOATS]:
        a, b, c = with_flag(ty)
        k = Kernel(f"setp_{ty}", [(ty, a), (ty, b), ("u32", c)], "u32", "the first predicate, and twice the second")
        k.registers = [".reg .pred %q, %r, %s;"]
        for cmp, op, f in product(comparisons(ty), COMBINE, flushes(ty)):
            values = []
            for found, flag in zip(lanes(ty, cmp, a, b, bool(f)), c):
                second = found[1] if len(found) == 2 else 1 - found[0]
                values.append(COMBINE[op](found[0], flag) + 2 * COMBINE[op](second, flag))
            pair = "%q|%r"
            source = ", %s" if op else ""
            after = ["selp.u32 %d, 1, 0, %q;", "@%r add.u32 %d, %d, 2;"]
            # One predicate is enough where the manual has no second.
            if ty in ("f16", "bf16"):
                pair, after = "%q", after[:1]
                values = [v & 1 for v in values]
            before = ["setp.ne.u32 %s, %c, 0;"] if op else []
            k.form(f"setp.{cmp}{op}{f}.{ty} {pair}, %a, %b{source};", values, before, after)
        yield k


def predicate_operands():
    """Negated source predicates, and results that are not wanted."""
    a, b, c = with_flag("s32")
    k = Kernel("predicate_operands", [("s32", a), ("s32", b), ("u32", c)], "u32")
    k.registers = [".reg .pred %q, %r, %s;"]
    before, first, second = ["setp.ne.u32 %s, %c, 0;"], ["selp.u32 %d, 1, 0, %q;"], ["selp.u32 %d, 1, 0, %r;"]
    less = [compare("lt", "s32", x, y, False) for x, y in zip(a, b)]
    for op in (".and", ".or", ".xor"):
        f = COMBINE[op]
        k.form(f"setp.lt{op}.s32 %q, %a, %b, !%s;", [f(t, 1 - z) for t, z in zip(less, c)], before, first)
        k.form(f"setp.lt{op}.s32 _|%r, %a, %b, !%s;", [f(1 - t, 1 - z) for t, z in zip(less, c)], before, second)
        k.form(f"set.lt{op}.u32.s32 %d, %a, %b, !%s;", [TRUE["u32"] * f(t, 1 - z) for t, z in zip(less, c)], before)
    k.form("setp.lt.s32 %q|_, %a, %b;", less, after=first)
    k.form("selp.u32 %d, 5, 7, !%s;", [7 if z else 5 for z in c], before)
    yield k


TRUE = {"u16": 0xFFFF, "s16": 0xFFFF, "u32": 0xFFFFFFFF, "s32": 0xFFFFFFFF, "f32": 0x3F800000, "f16": 0x3C00, "bf16": 0x3F80}


def results(ty):
    """What `set` of a type may give."""
    if ty in ("f16x2", "bf16x2"):
        return ["u32", "s32", ty]
    if ty == "bf16":
        return ["u16", "s16", "u32", "s32", "bf16"]
    if ty == "f16":
        return ["u16", "s16", "u32", "s32", "f16", "bf16"]
    return ["u32", "s32", "f32", "f16", "bf16"]


def sets():
    for ty in [*BITS, *INTEGERS, *FLOATS]:
        a, b, c = with_flag(ty)
        for to in results(ty):
            k = Kernel(f"set_{to}_{ty}", [(ty, a), (ty, b), ("u32", c)], to)
            k.registers = [".reg .pred %s;"]
            for cmp, op, f in product(comparisons(ty), COMBINE, [""] if to == "bf16" else flushes(ty)):
                values = []
                for found, flag in zip(lanes(ty, cmp, a, b, bool(f)), c):
                    found = [COMBINE[op](one, flag) for one in found]
                    if len(found) == 1:
                        values.append(found[0] * TRUE[to])
                    else:
                        true = TRUE[to[:-2]] if "x2" in to else 0xFFFF
                        values.append(found[0] * true | found[1] * true << 16)
                before = ["setp.ne.u32 %s, %c, 0;"] if op else []
                source = ", %s" if op else ""
                k.form(f"set.{cmp}{op}{f}.{to}.{ty} %d, %a, %b{source};", values, before)
            yield k


def selections():
    for ty in [*BITS, *INTEGERS, "f32", "f64"]:
        a, b = (floats(ty, 6, 1), floats(ty, 6, 2)) if ty in FLOATS else pairs(width(ty), 6, 1)
        # Zeros of both signs, subnormals of both signs, NaN.
        keys = [0, 0x80000000, 1, 0x80000001, 0x7FC00000, 0xBF800000]
        k = Kernel(f"select_{ty}", [(ty, a), (ty, b), ("b32", keys)], ty)
        k.registers = [".reg .pred %q;", ".reg .s32 %k;", ".reg .f32 %f;"]
        choose = lambda picks: [x if pick else y for x, y, pick in zip(a, b, picks)]
        k.form(f"selp.{ty} %d, %a, %b, %q;", choose([key == 0 for key in keys]), ["setp.eq.b32 %q, %c, 0;"])
        k.form(f"slct.{ty}.s32 %d, %a, %b, %k;", choose([num(key, "s32") >= 0 for key in keys]), ["mov.b32 %k, %c;"])
        for f in ("", ".ftz"):
            picks = []
            for key in keys:
                value = sf.F32.decode(key)
                value = sf.F32.flush(value) if f else value
                picks.append(value is not None and sf.signed(value) >= 0)
            k.form(f"slct{f}.{ty}.f32 %d, %a, %b, %f;", choose(picks), ["mov.b32 %f, %c;"])
        yield k
