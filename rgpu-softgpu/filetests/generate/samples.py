"""Inputs: where instructions go wrong, and some at random from a fixed seed."""

from random import Random

from softfloat import FORMATS


def signed_limits(bits):
    return [0, 1, (1 << bits) - 1, (1 << (bits - 1)) - 1, 1 << (bits - 1), (1 << (bits - 1)) + 1]


def integers(bits, count, seed):
    """Zero, one, minus one, both ends of the signed and the unsigned range; numbers of all lengths."""
    random = Random(seed)
    values = signed_limits(bits)
    while len(values) < count:
        values.append(random.getrandbits(random.randint(1, bits)) ^ (random.getrandbits(1) * ((1 << bits) - 1)))
    return values[:count]


def pairs(bits, count, seed):
    """Two lists: every limit meets others."""
    random = Random(seed)
    limits = signed_limits(bits)
    both = [(x, y) for x in limits for y in limits]
    random.shuffle(both)
    both = both[: count // 2]
    x, y = integers(bits, count, seed + 1), integers(bits, count, seed + 2)
    random.shuffle(x)
    random.shuffle(y)
    both += list(zip(x, y))[: count - len(both)]
    return [a for a, _ in both], [b for _, b in both]


def specials(format):
    one = format.bias << format.mantissa
    sign = 1 << (format.bits - 1)
    infinity = format.top << format.mantissa
    least = 1 << format.mantissa
    magnitudes = [0, one, infinity, infinity - 1, least, 1, least - 1, one + 1, one - 1]
    return [*magnitudes, *(m | sign for m in magnitudes), infinity | 1 << (format.mantissa - 1)]


def floats(ty, count, seed):
    """Special values and random ones; packed types get two independent lanes."""
    format = FORMATS[ty]
    random = Random(seed)
    values = specials(format)
    random.shuffle(values)
    values = values[: count * 2 // 3]
    while len(values) < count:
        values.append(near_one(format, random))
    random.shuffle(values)
    if "x2" in ty:
        high = floats(ty.removesuffix("x2"), count, seed + 1000)
        values = [low | top << format.bits for low, top in zip(values, high)]
    return values


def near_one(format, random):
    """A number within a few binades of 1, where sums and products interact."""
    exponent = format.bias + random.randint(-4, 4)
    return random.getrandbits(1) << (format.bits - 1) | exponent << format.mantissa | random.getrandbits(format.mantissa)
