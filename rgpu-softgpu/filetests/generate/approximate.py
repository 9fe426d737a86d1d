"""Approximate functions. The manual's corner cases have exact answers; elsewhere its error bounds apply to what the C
library gives in double precision."""

import math
import struct
from fractions import Fraction

import softfloat as sf
from layout import Kernel
from samples import floats


def to_float(format, bits):
    value = format.decode(bits)
    if value is None:
        return math.nan
    return math.copysign(math.inf if value[1] == sf.INF else float(value[1]), -1 if value[0] else 1)


def from_float(format, number, ftz):
    """A double rounded to a format."""
    value = sf.F64.decode(struct.unpack("<Q", struct.pack("<d", number))[0])
    value = format.round(value)
    return format.encode(format.flush(value) if ftz else value)


def guarded(f):
    """Python raises where C gives NaN or infinity."""

    def call(x):
        if math.isnan(x):
            return x
        try:
            return f(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return call


def reciprocal(x):
    return math.copysign(math.inf, x) if x == 0 else 1 / x


def reciprocal_root(x):
    return math.copysign(math.inf, x) if x == 0 else 1 / math.sqrt(x)


def log2(x):
    return -math.inf if x == 0 else math.log2(x)


def power_of_two(x):
    return 0.0 if x < -1100 else 2.0**x


# Function, bound as a relative error (absolute below 1), inputs besides special ones.
MODERATE = [0.3, -0.7, 1.0, 1.5, 2.75, 3.0, -3.0, 0.0625, 5.5, -6.25]
POSITIVE = [0.3, 0.5, 0.7, 1.0, 1.5, 2.75, 3.0, 100.0, 1e-30, 6e20]
FUNCTIONS = {
    "rcp": (reciprocal, 2**-23, MODERATE), "sqrt": (math.sqrt, 2**-23, POSITIVE), "rsqrt": (reciprocal_root, 2**-22.9, POSITIVE),
    "sin": (math.sin, 2**-20.5, MODERATE), "cos": (math.cos, 2**-20.5, MODERATE), "lg2": (log2, 2**-22, POSITIVE),
    "ex2": (power_of_two, 2**-22, [*MODERATE, -126.5, -130.0, 127.5, 128.0, -150.0]), "tanh": (math.tanh, 2**-11, MODERATE),
}  # fmt: skip
HALF_BOUNDS = {("tanh", "f16"): 2**-10.987, ("tanh", "bf16"): 2**-8, ("ex2", "f16"): 2**-9.9, ("ex2", "bf16"): 2**-7}


def special_values(format):
    sign = 1 << (format.bits - 1)
    infinity = format.top << format.mantissa
    return [0, sign, infinity, infinity | sign, infinity | 1 << (format.mantissa - 1), 1, 1 | sign]


def functions():
    for name, (f, bound, inputs) in FUNCTIONS.items():
        a = special_values(sf.F32) + [from_float(sf.F32, x, False) for x in inputs]
        k = Kernel(f"{name}_approx_f32", [("f32", a)], "f32", tolerance=f" ~{bound:.3g}")
        for ftz in [""] if name == "tanh" else ["", ".ftz"]:
            read = lambda x: from_float(sf.F32, to_float(sf.F32, x), bool(ftz))
            values = [from_float(sf.F32, guarded(f)(to_float(sf.F32, read(x))), bool(ftz)) for x in a]
            k.form(f"{name}.approx{ftz}.f32 %d, %a;", values)
        yield k
    for (name, ty), bound in HALF_BOUNDS.items():
        f, _, _ = FUNCTIONS[name]
        format = sf.FORMATS[ty]
        ftz = ".ftz" if (name, ty) == ("ex2", "bf16") else ""
        a = special_values(format) + [from_float(format, x, False) for x in (*MODERATE, -14.5, -24.0, 12.25, -126.5)]
        values = [from_float(format, guarded(f)(to_float(format, x)), bool(ftz)) for x in a]
        k = Kernel(f"{name}_approx_{ty}", [(ty, a)], ty, tolerance=f" ~{bound:.3g}")
        k.form(f"{name}.approx{ftz}.{ty} %d, %a;", values)
        yield k
        k = Kernel(f"{name}_approx_{ty}x2", [(f"{ty}x2", [x | y << 16 for x, y in zip(a, a[::-1])])], f"{ty}x2", tolerance=f" ~{bound:.3g}")
        k.form(f"{name}.approx{ftz}.{ty}x2 %d, %a;", [x | y << 16 for x, y in zip(values, values[::-1])])
        yield k
    # The last divisor is larger than `.approx` takes: zero, or NaN for an infinity.
    a, b = floats("f32", 24, 1), [0x3F800000, 0x40400000, 0xC0200000, 0x3E99999A, 0x7E000000, 0xFE800001] * 4
    too_large = Fraction(2) ** 126
    k = Kernel("div_approx_f32", [("f32", a), ("f32", b)], "f32", tolerance=f" ~{2**-22:.3g}")
    for form, ftz in (("approx", ""), ("approx", ".ftz"), ("full", ""), ("full", ".ftz")):
        flush = sf.F32.flush if ftz else lambda v: v

        def quotient(x, y):
            x, y = flush(sf.F32.decode(x)), flush(sf.F32.decode(y))
            if form == "approx" and y is not None and y[1] != sf.INF and y[1] > too_large:
                return sf.mul(x, (y[0], Fraction(0)))
            return flush(sf.F32.round(sf.div(x, y)))

        values = [quotient(x, y) for x, y in zip(a, b)]
        k.form(f"div.{form}{ftz}.f32 %d, %a, %b;", [sf.F32.encode(v) for v in values])
    yield k
    yield from doubles()


def doubles():
    numbers = [0.3, 1.5, 2.75, 1e-300, 1e300, 16.0]
    a = special_values(sf.F64) + [from_float(sf.F64, x, False) for x in numbers]
    k = Kernel("rsqrt_approx_f64", [("f64", a)], "f64", tolerance=" ~1e-15")
    k.form("rsqrt.approx.f64 %d, %a;", [from_float(sf.F64, guarded(reciprocal_root)(to_float(sf.F64, x)), False) for x in a])
    yield k
    # Both look at the upper word only; powers of four have exact answers, and a NaN is the canonical one.
    rows = {
        "rcp": [(0x7FF0000000000000, 0), (0xFFF0000000000000, 1 << 63), (0, 0x7FF0000000000000), (1, 0x7FF0000000000000),
                ((1 << 63) + 5, 0xFFF0000000000000), (0x7FF8000000000001, 0x7FFFFFFF00000000), (0xFFFC123400000000, 0x7FFFFFFF00000000),
                (0x4010000000000000, 0x3FD0000000000000), (0x40100000FFFFFFFF, 0x3FD0000000000000), (0xBFF0000000000000, 0xBFF0000000000000)],
        "rsqrt": [(0x7FF0000000000000, 0), (0xFFF0000000000000, 0x7FFFFFFF00000000), (0, 0x7FF0000000000000), (1, 0x7FF0000000000000),
                  ((1 << 63) + 5, 0xFFF0000000000000), (0x7FF8000000000001, 0x7FFFFFFF00000000), (0x4010000000000000, 0x3FE0000000000000),
                  (0x40100000FFFFFFFF, 0x3FE0000000000000), (0x4030000000000000, 0x3FD0000000000000), (0x3FF0000000000000, 0x3FF0000000000000)],
    }  # fmt: skip
    for name, table in rows.items():
        k = Kernel(f"{name}_approx_ftz_f64", [("f64", [x for x, _ in table])], "f64", shown="u64")
        k.form(f"{name}.approx.ftz.f64 %d, %a;", [y for _, y in table])
        yield k
