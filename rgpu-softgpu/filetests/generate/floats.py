"""Float arithmetic in every format and rounding, minimum and maximum, roots, `testp`, `copysign`."""

from fractions import Fraction
from itertools import product

import softfloat as sf
from layout import Kernel
from samples import floats, near_one
from random import Random

MODES = ["", ".rn", ".rz", ".rm", ".rp"]
DIRECTED = [".rn", ".rz", ".rm", ".rp"]
HALVES = ["f16", "f16x2", "bf16", "bf16x2"]


def mode_of(rounding):
    return rounding.removeprefix(".") or "rn"


def corners(format):
    """Pairs where sums, products and quotients round, overflow, vanish or mean nothing."""
    one = format.bias << format.mantissa
    power = lambda e: (format.bias + e) << format.mantissa
    sign = 1 << (format.bits - 1)
    infinity = format.top << format.mantissa
    most, least, nan = infinity - 1, 1 << format.mantissa, infinity | 1 << (format.mantissa - 1)
    third = one - (1 << format.mantissa) - 0x55 % (1 << format.mantissa)
    tie = power(-format.mantissa - 1)
    return [
        (one, tie), (one + 1, tie), (one | sign, tie | sign), (one, tie + 1), (one + 1, tie | sign),
        (most, most), (most | sign, most | sign), (most, power(format.bias - format.mantissa - 1)), (most, one + 1),
        (infinity, infinity | sign), (infinity, one), (infinity | sign, 0), (one, infinity), (nan, one), (one, nan),
        (0, sign), (sign, sign), (0, 0), (one, one | sign), (one, 0), (one | sign, 0),
        (least, least - 1), (1, 1), (1 | sign, least), (least, power(-1)), (least + 1, power(-1)), (3, power(-1)),
        (1, power(-1)), (1 | sign, power(-1)), (least - 1, one + 1), (most, 1), (1, most), (one, third), (third, one + 1),
    ]  # fmt: skip


def pairs(ty, extra, seed):
    format = sf.FORMATS[ty]
    random = Random(seed)
    both = corners(format) + [(near_one(format, random), near_one(format, random)) for _ in range(extra)]
    if "x2" in ty:
        # The other lane has the same pairs, in another order.
        other = both[:]
        random.shuffle(other)
        both = [(x | u << format.bits, y | v << format.bits) for (x, y), (u, v) in zip(both, other)]
    return [x for x, _ in both], [y for _, y in both]


def lanewise(ty, f, *columns):
    """Applies `f` on bits to each lane of each element."""
    format = sf.FORMATS[ty]
    ones = (1 << format.bits) - 1
    if "x2" not in ty:
        return [f(*row) for row in zip(*columns)]
    low = [f(*(v & ones for v in row)) for row in zip(*columns)]
    high = [f(*(v >> format.bits for v in row)) for row in zip(*columns)]
    return [x | y << format.bits for x, y in zip(low, high)]


def computed(format, f, mode="rn", ftz=False, sat=False, relu=False, square=False):
    """A function on bits: flush, compute exactly, round once, clamp, flush."""
    flush = format.flush if ftz else lambda v: v

    def on_bits(*bits):
        result = f(*(flush(format.decode(b)) for b in bits))
        result = flush(format.round(result, mode, square))
        result = sf.saturate(result) if sat else sf.relu(result) if relu else result
        return format.encode(result)

    return on_bits


def can_flush(ty):
    return ty in ("f32", "f32x2", "f16", "f16x2")


def can_saturate(ty):
    return ty in ("f32", "f16", "f16x2")


def arithmetic_forms(op, ty):
    """`add`, `sub`, `mul`: (text, mode, ftz, sat). Halves round to nearest only."""
    modes = ["", ".rn"] if ty in HALVES else MODES
    flushes = ["", ".ftz"] if can_flush(ty) else [""]
    saturations = ["", ".sat"] if can_saturate(ty) else [""]
    for r, f, s in product(modes, flushes, saturations):
        yield f"{op}{r}{f}{s}.{ty}", mode_of(r), bool(f), bool(s)


def arithmetic(types):
    for ty in types:
        format = sf.FORMATS[ty]
        a, b = pairs(ty, 6, 1)
        for op in ("add", "sub", "mul"):
            kernel = Kernel(f"{op}_{ty}", [(ty, a), (ty, b)], ty)
            for form, mode, ftz, sat in arithmetic_forms(op, ty):
                exact = {
                    "add": lambda x, y, mode=mode: sf.add(x, y, mode),
                    "sub": lambda x, y, mode=mode: sf.add(x, sf.neg(y), mode),
                    "mul": sf.mul,
                }[op]
                values = lanewise(ty, computed(format, exact, mode, ftz, sat), a, b)
                kernel.form(f"{form} %d, %a, %b;", values)
            yield kernel


def triples(ty, seed):
    """Factors from the pairs; addends that cancel the rounded product, that are tiny, special, or random."""
    format = sf.FORMATS[ty]
    a, b = pairs(ty, 6, seed)
    random = Random(seed)

    def addend(x, y):
        kind = random.randrange(4)
        if kind == 0:
            return format.encode(sf.neg(format.round(sf.mul(format.decode(x), format.decode(y)))))
        if kind == 1:
            return random.choice([0, 1, 1 << (format.bits - 1), (1 << (format.bits - 1)) | 1])
        return near_one(format, random) if kind == 2 else floats(ty.removesuffix("x2"), 24, seed)[random.randrange(24)]

    return a, b, lanewise(ty, addend, a, b)


def fma_forms(ty):
    bf16 = ty.startswith("bf16")
    modes = [".rn"] if ty in ("f16", "f16x2") else DIRECTED
    flushes = ["", ".ftz"] if can_flush(ty) else [""]
    ends = {"f32": ["", ".sat"], "f16": ["", ".sat", ".relu"], "f16x2": ["", ".sat", ".relu"]}
    ends = ends.get(ty, ["", ".relu"] if bf16 else [""])
    for r, f, e in product(modes, flushes, ends):
        yield f"fma{r}{f}{e}.{ty}", mode_of(r), bool(f), e
    for r, e in product(modes, ends) if ty in HALVES else ():
        yield f"fma{r}.oob{e}.{ty}", mode_of(r), False, e
    for r, f, s in product(MODES[1:], flushes, ["", ".sat"]) if ty == "f32" else ():
        yield f"mad{r}{f}{s}.{ty}", mode_of(r), bool(f), s
    for r in MODES[1:] if ty == "f64" else ():
        yield f"mad{r}.{ty}", mode_of(r), False, ""


def fused(types):
    for ty in types:
        format = sf.FORMATS[ty]
        a, b, c = triples(ty, 2)
        kernel = Kernel(f"fma_{ty}", [(ty, a), (ty, b), (ty, c)], ty)
        for form, mode, ftz, end in fma_forms(ty):
            exact = lambda x, y, z, mode=mode: sf.add(sf.mul(x, y), z, mode)
            values = lanewise(ty, computed(format, exact, mode, ftz, end == ".sat", end == ".relu"), a, b, c)
            kernel.form(f"{form} %d, %a, %b, %c;", values)
        yield kernel


def mixed():
    """Halves and a single give a single."""
    for half in ("f16", "bf16"):
        narrow = sf.FORMATS[half]
        a, b = pairs(half, 10, 3)
        singles = (floats("f32", len(a), 4)) + pairs("f32", 30, 5)[1]
        singles = singles[: len(a)]
        for op in ("add", "sub"):
            kernel = Kernel(f"{op}_f32_{half}", [(half, a), ("f32", singles)], "f32")
            for r, s in product(MODES, ["", ".sat"]):
                values = []
                for x, y in zip(a, singles):
                    y = sf.F32.decode(y)
                    result = sf.add(narrow.decode(x), sf.neg(y) if op == "sub" else y, mode_of(r))
                    result = sf.F32.round(result, mode_of(r))
                    values.append(sf.F32.encode(sf.saturate(result) if s else result))
                kernel.form(f"{op}{r}{s}.f32.{half} %d, %a, %b;", values)
            yield kernel
        kernel = Kernel(f"fma_f32_{half}", [(half, a), (half, b), ("f32", singles)], "f32")
        for r, s in product(DIRECTED, ["", ".sat"]):
            values = []
            for x, y, z in zip(a, b, singles):
                factor = sf.mul(narrow.decode(x), narrow.decode(y))
                result = sf.F32.round(sf.add(factor, sf.F32.decode(z), mode_of(r)), mode_of(r))
                values.append(sf.F32.encode(sf.saturate(result) if s else result))
            kernel.form(f"fma{r}{s}.f32.{half} %d, %a, %b, %c;", values)
        yield kernel


def quotients():
    for ty in ("f32", "f64"):
        format = sf.FORMATS[ty]
        flushes = ["", ".ftz"] if ty == "f32" else [""]
        one = (0, Fraction(1))
        a, b = pairs(ty, 10, 6)
        kernel = Kernel(f"div_{ty}", [(ty, a), (ty, b)], ty)
        for r, f in product(DIRECTED, flushes):
            values = lanewise(ty, computed(format, sf.div, mode_of(r), bool(f)), a, b)
            kernel.form(f"div{r}{f}.{ty} %d, %a, %b;", values)
        yield kernel
        a = floats(ty, 32, 7)
        kernel = Kernel(f"rcp_{ty}", [(ty, a)], ty)
        for r, f in product(DIRECTED, flushes):
            values = lanewise(ty, computed(format, lambda x: sf.div(one, x), mode_of(r), bool(f)), a)
            kernel.form(f"rcp{r}{f}.{ty} %d, %a;", values)
        yield kernel
        kernel = Kernel(f"sqrt_{ty}", [(ty, a)], ty)
        for r, f in product(DIRECTED, flushes):
            root = lambda x: x if x is None or x[0] == 0 or x[1] == 0 else None
            values = lanewise(ty, computed(format, root, mode_of(r), bool(f), square=True), a)
            kernel.form(f"sqrt{r}{f}.{ty} %d, %a;", values)
        yield kernel


def signs():
    for ty in ("f32", "f64", *HALVES):
        format = sf.FORMATS[ty]
        a = floats(ty, 16, 8)
        top = 1 << (format.bits - 1)
        kernel = Kernel(f"abs_neg_{ty}", [(ty, a)], ty)
        for op, f in product(("abs", "neg"), ["", ".ftz"] if can_flush(ty) else [""]):

            def change(bits, op=op, f=f):
                flushed = f and format.is_subnormal(format.decode(bits))
                bits = bits & top if flushed else bits
                return bits & ~top if op == "abs" else bits ^ top

            kernel.form(f"{op}{f}.{ty} %d, %a;", lanewise(ty, change, a))
        yield kernel
    for ty in ("f32", "f64"):
        top = 1 << (sf.FORMATS[ty].bits - 1)
        a, b = floats(ty, 12, 9), floats(ty, 12, 10)
        kernel = Kernel(f"copysign_{ty}", [(ty, a), (ty, b)], ty, "the sign of the first, the magnitude of the second")
        kernel.form(f"copysign.{ty} %d, %a, %b;", [x & top | y & ~top for x, y in zip(a, b)])
        yield kernel


def properties():
    for ty in ("f32", "f64"):
        format = sf.FORMATS[ty]
        a = floats(ty, 28, 11)
        kernel = Kernel(f"testp_{ty}", [(ty, a)], "u32")
        kernel.registers = [".reg .pred %q;"]
        normal = lambda v: v is not None and v[1] != sf.INF and v[1] >= format.tiny
        tests = {
            "finite": lambda v: v is not None and v[1] != sf.INF,
            "infinite": lambda v: v is not None and v[1] == sf.INF,
            "number": lambda v: v is not None,
            "notanumber": lambda v: v is None,
            "normal": normal,
            "subnormal": format.is_subnormal,
        }
        for name, holds in tests.items():
            values = [int(holds(format.decode(x))) for x in a]
            kernel.form(f"testp.{name}.{ty} %q, %a;", values, after=["selp.u32 %d, 1, 0, %q;"])
        yield kernel


def extremum(format, maximum, ftz, nan, end):
    """The manual's pseudocode for `min` and `max`, of two or three operands."""

    def pick(x, y):
        if x is None or y is None:
            return None if nan or x is None and y is None else (y if x is None else x)
        return x if sf.less(y, x) == maximum else y

    def on_bits(*bits):
        values = [format.decode(b) for b in bits]
        values = [format.flush(v) if ftz else v for v in values]
        signs = [b >> (format.bits - 1) for b in bits]
        if end:
            values = [v and (0, v[1]) for v in values]
        best = values[0]
        for value in values[1:]:
            best = pick(best, value)
        if end == ".xorsign.abs" and best is not None:
            best = (signs[0] ^ signs[1], best[1])
        return format.encode(best)

    return on_bits


def extremes():
    for ty in ("f32", "f64", *HALVES):
        format = sf.FORMATS[ty]
        a, b = pairs(ty, 4, 12)
        nans = [(format.nan, format.nan)] * ("x2" not in ty)
        a, b = a + [x for x, _ in nans], b + [y for _, y in nans]
        for op, nan in product(("min", "max"), ["", ".NaN"]):
            if ty == "f64" and nan:
                continue
            # With `.NaN` the NaN is the canonical one, so bits are compared.
            shown = {2: "u16", 4: "u32"}[format.bits // 8] if nan else ty
            shown = "u16x2" if nan and "x2" in ty else shown
            name = f"{op}{nan.replace('.', '_').lower()}_{ty}"
            kernel = Kernel(name, [(ty, a), (ty, b)], ty, shown=shown)
            ends = [""] if ty == "f64" else ["", ".xorsign.abs"]
            for f, end in product(["", ".ftz"] if can_flush(ty) else [""], ends):
                f_on = extremum(format, op == "max", bool(f), bool(nan), end)
                kernel.form(f"{op}{f}{nan}{end}.{ty} %d, %a, %b;", lanewise(ty, f_on, a, b))
            yield kernel


def three_extremes():
    a, b = pairs("f32", 4, 13)
    c = (floats("f32", 24, 14) * 2)[: len(a)]
    for op in ("min", "max"):
        kernel = Kernel(f"{op}_of_three", [("f32", a), ("f32", b), ("f32", c)], "f32")
        for f, nan, end in product(["", ".ftz"], ["", ".NaN"], ["", ".abs"]):
            f_on = extremum(sf.F32, op == "max", bool(f), bool(nan), end)
            values = [f_on(*row) for row in zip(a, b, c)]
            kernel.form(f"{op}{f}{nan}{end}.f32 %d, %a, %b, %c;", values)
        yield kernel
