"""Video instructions: the manual's pseudocode, with selectors that take turns."""

from itertools import product

from integers import clamp, num, raw
from layout import Kernel
from samples import integers, pairs

TYPES = ["u32", "s32"]
PARTS = ["", ".b0", ".b1", ".b2", ".b3", ".h0", ".h1"]
COMPARE = {
    "eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y,
}  # fmt: skip


def average(x, y):
    return (x + y + 1) >> 1 if x + y >= 0 else (x + y) >> 1


PRIMARY = {
    "vadd": lambda x, y: x + y, "vsub": lambda x, y: x - y, "vabsdiff": lambda x, y: abs(x - y),
    "vmin": min, "vmax": max, "vavrg": average,
}  # fmt: skip
SECOND = {"": None, ".add": lambda x, y: x + y, ".min": min, ".max": max}


def sources():
    (a, b), c = pairs(32, 12, 1), integers(32, 12, 2)
    # Bytes and halves of both signs.
    return a + [0x80FF7F01, 0x8000FFFF, 0x12345678], b + [0x7F80FF02, 0xFFFF7FFF, 0x9ABCDEF0], c + [0x01020304, 0xFFFFFFFF, 0x80007FFF]


def part(value, ty, selector):
    """A byte, a half or all of a register, extended by its type."""
    if not selector:
        return num(value, ty)
    w = 8 if selector[1] == "b" else 16
    return num(value >> w * int(selector[2]), f"{ty[0]}{w}")


def merged(value, third, selector):
    w = 8 if selector[1] == "b" else 16
    at = w * int(selector[2])
    ones = (1 << w) - 1 << at
    return third & ~ones | value << at & ones


def scalar(op, forms, columns, compute):
    """`forms`: (modifiers, dtype, atype, btype, sat, second). Without a second operation, a merge is tried too."""
    a, b, c = columns
    kernel = Kernel(op, [("b32", a), ("b32", b), ("b32", c)], "u32")
    for at, (text, result, first, second, sat, then) in enumerate(forms):
        # Selectors that take turns, so that every one meets every operation.
        x, y, z = PARTS[at % 7], PARTS[(at * 3 + 1) % 7], PARTS[1 + at % 6]
        if at % 4 == 0:
            x = y = ""
        narrow = lambda v, sel: clamp(v, f"{result[0]}{8 if sel[1:2] == 'b' else 16 if sel else 32}") if sat else v
        tmp = [compute(text, part(p, first, x), part(q, second, y)) for p, q in zip(a, b)]
        if then:
            values = [SECOND[then](num(narrow(v, ""), result), num(r, result)) for v, r in zip(tmp, c)]
            kernel.form(f"{text} %d, %a{x}, %b{y}, %c;", [raw(v, "u32") for v in values])
        else:
            kernel.form(f"{text} %d, %a{x}, %b{y};", [raw(narrow(v, ""), "u32") for v in tmp])
            values = [merged(narrow(v, z), r, z) for v, r in zip(tmp, c)]
            kernel.form(f"{text} %d{z}, %a{x}, %b{y}, %c;", values)
    return kernel


def scalars():
    columns = sources()
    for op in ("vadd", "vsub", "vabsdiff", "vmin", "vmax"):
        forms = [
            (f"{op}.{d}.{s}.{t}{sat}{then}", d, s, t, sat, then)
            for d, s, t, sat, then in product(TYPES, TYPES, TYPES, ["", ".sat"], SECOND)
        ]
        yield scalar(op, forms, columns, lambda text, x, y: PRIMARY[text.split(".")[0]](x, y))
    forms = [
        (f"vset.{s}.{t}.{cmp}{then}", "u32", s, t, "", then)
        for s, t, cmp, then in product(TYPES, TYPES, COMPARE, SECOND)
    ]
    yield scalar("vset", forms, columns, lambda text, x, y: int(COMPARE[text.split(".")[3]](x, y)))
    counts = [0, 1, 7, 8, 15, 16, 31, 32, 33, 255, 0x0100, 0x80000000, 0xFFFFFFFF, 0x1F20, 5]
    for op in ("vshl", "vshr"):
        forms = [
            (f"{op}.{d}.{s}.u32{sat}{mode}{then}", d, s, "u32", sat, then)
            for d, s, sat, mode, then in product(TYPES, TYPES, ["", ".sat"], [".clamp", ".wrap"], SECOND)
        ]

        def shift(text, x, y):
            count = min(y, 32) if ".clamp" in text else y & 31
            return x << count if text.startswith("vshl") else x >> count

        yield scalar(op, forms, (columns[0], counts, columns[2]), shift)


def multiply_adds():
    """`vmad`: a negated product or addend, or one more; the result is signed if anything is."""
    a, b, c = sources()
    kernel = Kernel("vmad", [("b32", a), ("b32", b), ("b32", c)], "u32")
    at = 0
    for d, s, t, sat, scale in product(TYPES, TYPES, TYPES, ["", ".sat"], ["", ".shr7", ".shr15"]):
        for po, (m, n, o) in ((".po", ("", "", "")), ("", ("", "", "")), ("", [("-", "", ""), ("", "-", ""), ("", "", "-")][at % 3])):
            at += 1
            x, y = (PARTS[at % 7], PARTS[(at * 3 + 1) % 7]) if at % 2 else ("", "")
            is_signed = "s32" in (s, t) or "-" in (m, n, o)
            values = []
            for p, q, r in zip(a, b, c):
                product_of = part(p, s, x) * part(q, t, y) * (-1 if m or n else 1)
                addend = num(r, "s32" if is_signed else "u32") * (-1 if o else 1)
                total = (product_of + addend + bool(po)) >> int(scale[4:] or 0)
                values.append(clamp(total, "s32" if is_signed else "u32") if sat else raw(total, "u32"))
            kernel.form(f"vmad.{d}.{s}.{t}{po}{sat}{scale} %d, {m}%a{x}, {n}%b{y}, {o}%c;", values)
    yield kernel


LANES = {2: ("h", ["", ".h0", ".h1", ".h10"], ["", ".h01", ".h32", ".h13", ".h00"]),
         4: ("b", ["", ".b0", ".b31", ".b210", ".b3210"], ["", ".b0123", ".b7654", ".b0246", ".b3333"])}  # fmt: skip


def lane_values(a, b, ty, selector, default, lanes):
    w = 32 // lanes
    digits = selector[2:] or default
    both = b << 32 | a
    return [num(both >> w * int(digit), f"{ty[0]}{w}") for digit in reversed(digits)]


def vectors():
    a, b, c = sources()
    for lanes in (2, 4):
        w = 32 // lanes
        _, masks, selectors = LANES[lanes]
        defaults = ("10", "32") if lanes == 2 else ("3210", "7654")
        names = [*PRIMARY, "vset"]
        for op in names:
            kernel = Kernel(f"{op}{lanes}", [("b32", a), ("b32", b), ("b32", c)], "u32")
            if op == "vset":
                forms = [(f"vset{lanes}.{s}.{t}.{cmp}{then}", "u32", s, t, "", then) for s, t, cmp, then in product(TYPES, TYPES, COMPARE, ["", ".add"])]
            else:
                # Saturation and accumulation exclude each other.
                ends = [("", ""), (".sat", ""), ("", ".add")]
                forms = [(f"{op}{lanes}.{d}.{s}.{t}{sat}{then}", d, s, t, sat, then) for d, s, t, (sat, then) in product(TYPES, TYPES, TYPES, ends)]
            for at, (text, result, first, second, sat, then) in enumerate(forms):
                mask, x, y = masks[at % len(masks)], selectors[at * 2 % 5], selectors[(at * 3 + 1) % 5]
                if at % 3 == 0:
                    mask = x = y = ""
                written = [int(digit) for digit in mask[2:]] or list(range(lanes))
                compute = COMPARE[text.split(".")[3]] if op == "vset" else PRIMARY[op]
                values = []
                for p, q, r in zip(a, b, c):
                    left = lane_values(p, q, first, x, defaults[0], lanes)
                    right = lane_values(p, q, second, y, defaults[1], lanes)
                    value = r
                    for lane in written:
                        one = int(compute(left[lane], right[lane]))
                        one = clamp(one, f"{result[0]}{w}") if sat else one
                        if then:
                            value += num(one, f"{result[0]}{w}")
                        else:
                            ones = (1 << w) - 1 << w * lane
                            value = value & ~ones | one << w * lane & ones
                    values.append(raw(value, "u32"))
                kernel.form(f"{text} %d{mask}, %a{x}, %b{y}, %c;", values)
            yield kernel
