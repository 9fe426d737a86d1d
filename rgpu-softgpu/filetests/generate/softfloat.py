"""Binary floating point in exact rational arithmetic, straight from IEEE 754 and the PTX manual.

A value is None (NaN) or a pair (sign, magnitude): sign 0 or 1, magnitude a Fraction or INF. Bits are integers.
"""

from fractions import Fraction
from math import isqrt

INF = "infinity"


class Format:
    def __init__(self, name, exponent, mantissa):
        self.name = name
        self.mantissa = mantissa
        self.bits = 1 + exponent + mantissa
        self.bias = (1 << (exponent - 1)) - 1
        self.top = (1 << exponent) - 1
        self.nan = (1 << (self.bits - 1)) - 1
        self.smallest = 1 - self.bias
        self.largest = Fraction(2) ** (self.bias + 1) - Fraction(2) ** (self.bias - mantissa)
        self.tiny = Fraction(2) ** self.smallest

    def decode(self, bits):
        sign = bits >> (self.bits - 1)
        exponent = bits >> self.mantissa & self.top
        fraction = bits & ((1 << self.mantissa) - 1)
        if exponent == self.top:
            return None if fraction else (sign, INF)
        if exponent:
            fraction += 1 << self.mantissa
        power = max(exponent, 1) - self.bias - self.mantissa
        return sign, Fraction(fraction) * Fraction(2) ** power

    def encode(self, value):
        """The bits of a value that the format holds exactly."""
        if value is None:
            return self.nan
        sign, magnitude = value
        sign <<= self.bits - 1
        if magnitude == INF:
            return sign | self.top << self.mantissa
        if magnitude == 0:
            return sign
        power = max(log2(magnitude), self.smallest)
        units = magnitude / Fraction(2) ** (power - self.mantissa)
        assert units.denominator == 1, "not exact"
        units = int(units)
        if units >> self.mantissa:
            return sign | (power + self.bias) << self.mantissa | units - (1 << self.mantissa)
        return sign | units

    def round(self, value, mode="rn", square=False):
        """The nearest value of the format; with `square`, of the root of the value."""
        if value is None or value[1] in (0, INF):
            return value
        sign, magnitude = value
        power = log2(magnitude) // 2 if square else log2(magnitude)
        power = max(power, self.smallest)
        unit = Fraction(2) ** (power - self.mantissa)
        exact = magnitude / (unit * unit if square else unit)
        low = isqrt(int(exact)) if square else int(exact)
        half = Fraction(2 * low + 1, 2)
        if square:
            half *= half
        is_exact = exact == (low * low if square else low)
        up = {
            "rn": exact > half or exact == half and low & 1 == 1,
            "rna": exact >= half,
            "rz": False,
            "rm": sign == 1,
            "rp": sign == 0,
        }[mode] and not is_exact
        result = (low + up) * unit
        if result > self.largest:
            stays = mode == "rz" or mode == "rm" and sign == 0 or mode == "rp" and sign == 1
            return sign, self.largest if stays else INF
        return sign, result

    def is_subnormal(self, value):
        return value is not None and value[1] != INF and 0 < value[1] < self.tiny

    def flush(self, value):
        return (value[0], Fraction(0)) if self.is_subnormal(value) else value


class WithoutInfinity(Format):
    """Eight bits whose largest exponent holds numbers too; all ones is NaN."""

    def __init__(self, name, exponent, mantissa):
        super().__init__(name, exponent, mantissa)
        self.largest = Fraction(2) ** (self.bias + 2) - Fraction(2) ** (self.bias + 2 - mantissa)

    def decode(self, bits):
        if bits & self.nan == self.nan:
            return None
        sign, exponent, fraction = bits >> 7, bits >> self.mantissa & self.top, bits & ((1 << self.mantissa) - 1)
        fraction += (exponent > 0) << self.mantissa
        return sign, fraction * Fraction(2) ** (max(exponent, 1) - self.bias - self.mantissa)


E4M3 = WithoutInfinity("e4m3", 4, 3)
E5M2 = Format("e5m2", 5, 2)
F16 = Format("f16", 5, 10)
BF16 = Format("bf16", 8, 7)
TF32 = Format("tf32", 8, 10)
F32 = Format("f32", 8, 23)
F64 = Format("f64", 11, 52)
FORMATS = {"f16": F16, "bf16": BF16, "f32": F32, "f64": F64, "f16x2": F16, "bf16x2": BF16, "f32x2": F32}


def log2(x):
    """Floor of the binary logarithm."""
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if Fraction(2) ** guess <= x else guess - 1


def signed(value):
    """A finite value as one Fraction."""
    return -value[1] if value[0] else value[1]


def exact(number, sign=0):
    """The value of a Fraction; `sign` is that of zero."""
    return (sign, Fraction(0)) if number == 0 else (int(number < 0), abs(Fraction(number)))


def add(x, y, mode="rn"):
    if x is None or y is None:
        return None
    if INF in (x[1], y[1]):
        if x[1] == y[1]:
            return x if x[0] == y[0] else None
        return x if x[1] == INF else y
    # An exact zero takes the sign of both, else that of the rounding.
    both = x[0] if x[0] == y[0] and x[1] == y[1] == 0 else int(mode == "rm")
    return exact(signed(x) + signed(y), both)


def neg(x):
    return None if x is None else (1 - x[0], x[1])


def mul(x, y):
    if x is None or y is None:
        return None
    sign = x[0] ^ y[0]
    if INF in (x[1], y[1]):
        return None if 0 in (x[1], y[1]) else (sign, INF)
    return sign, x[1] * y[1]


def div(x, y):
    if x is None or y is None:
        return None
    sign = x[0] ^ y[0]
    if x[1] == INF:
        return None if y[1] == INF else (sign, INF)
    if y[1] == INF:
        return sign, Fraction(0)
    if y[1] == 0:
        return None if x[1] == 0 else (sign, INF)
    return sign, x[1] / y[1]


def less(x, y):
    """x < y, with -0 below +0 where `x` and `y` are zeros."""
    key = lambda v: (Fraction(2) ** 5000 if v[1] == INF else v[1]) * (-1 if v[0] else 1)
    return (key(x), -x[0]) < (key(y), -y[0])


def equal(x, y):
    return x[1] == y[1] and (x[0] == y[0] or x[1] == 0)


def saturate(x):
    """Into [0, 1]; NaN becomes +0."""
    if x is None or x[0] == 1 or x[1] == 0:
        return 0, Fraction(0)
    return (0, Fraction(1)) if x[1] == INF or x[1] > 1 else x


def relu(x):
    """Negative numbers become +0; NaN stays."""
    return (0, Fraction(0)) if x is not None and x[0] == 1 else x
