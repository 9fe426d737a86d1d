"""How a group of instruction forms becomes a kernel with its inputs and answers.

All forms of a group read the same inputs. Thread t computes every form of element t; the results lie form by form in
one buffer, so that the lines of answers follow the forms in order.
"""

# register class, memory type, bytes, type in the answers, values per element
TYPES = {
    "u8": ("b16", "u8", 1, "u8", 1), "s8": ("b16", "s8", 1, "s8", 1),
    # In registers of their own width, which conversions from and to `.bf16` want.
    "narrow u8": ("u8", "u8", 1, "u8", 1), "narrow s8": ("s8", "s8", 1, "s8", 1),
    "u16": ("u16", "u16", 2, "u16", 1), "s16": ("s16", "s16", 2, "s16", 1), "b16": ("b16", "b16", 2, "u16", 1),
    "e4m3x2": ("b16", "b16", 2, "u8", 2), "e5m2x2": ("b16", "b16", 2, "u8", 2),
    "u32": ("u32", "u32", 4, "u32", 1), "s32": ("s32", "s32", 4, "s32", 1), "b32": ("b32", "b32", 4, "u32", 1),
    "u64": ("u64", "u64", 8, "u64", 1), "s64": ("s64", "s64", 8, "s64", 1), "b64": ("b64", "b64", 8, "u64", 1),
    "f16": ("b16", "b16", 2, "f16", 1), "bf16": ("b16", "b16", 2, "bf16", 1),
    "f32": ("f32", "f32", 4, "f32", 1), "f64": ("f64", "f64", 8, "f64", 1), "tf32": ("b32", "b32", 4, "f32", 1),
    "f16x2": ("b32", "b32", 4, "f16", 2), "bf16x2": ("b32", "b32", 4, "bf16", 2), "f32x2": ("b64", "b64", 8, "f32", 2),
    "u16x2": ("b32", "b32", 4, "u16", 2), "s16x2": ("b32", "b32", 4, "s16", 2),
}  # fmt: skip


def text(value, ty):
    """Bits as the answers spell them: integers in decimal, floats in hexadecimal."""
    _, _, size, shown, lanes = TYPES[ty]
    width = 8 * size // lanes
    parts = [value >> (width * lane) & ((1 << width) - 1) for lane in range(lanes)]
    return " ".join(spell(part, shown, width) for part in parts)


def spell(bits, shown, width):
    if "f" in shown:
        return hex(bits)
    return str(bits - (1 << width) if shown[0] == "s" and bits >> (width - 1) else bits)


class Kernel:
    """`inputs`: (type, list of bits). `forms`: (line, all lines, list of bits of the results)."""

    def __init__(self, name, inputs, result, note="", tolerance="", shown=None):
        self.name, self.inputs, self.result, self.note = name, inputs, result, note
        self.tolerance, self.shown = tolerance, shown or result
        self.forms = []
        self.registers = []

    def form(self, line, values, before=(), after=()):
        """`line` computes `%d` from `%a`, `%b`, `%c`, `%e`, …; what stands before and after it helps."""
        self.forms.append((line, [*before, line, *after], values))

    def render(self):
        count = len(self.inputs[0][1])
        out = [f"// {self.note}"] if self.note else []
        out.append(f"//@ run kernel={self.name} block={count}")
        for ty, values in self.inputs:
            out.append(f"//@ in {TYPES[ty][3]} " + " ".join(text(v, ty) for v in values))
        word = f"out {TYPES[self.shown][3]}{self.tolerance}"
        for line, _, values in self.forms:
            assert len(values) == count, (line, len(values), count)
            out.append(f"// {line.split(' ')[0]}")
            out.append(f"//@ {word} " + " ".join(text(v, self.shown) for v in values))
            word = "next"
        letters = "abcefgh"[: len(self.inputs)]
        params = ", ".join(f".param .u64 {p}" for p in [*(f"in_{x}" for x in letters), "out"])
        out += [f".visible .entry {self.name}({params})", "{", "    .reg .u32 %t;", "    .reg .u64 %p;"]
        for letter, (ty, _) in zip(letters, self.inputs):
            out.append(f"    .reg .{TYPES[ty][0]} %{letter};")
        out.append(f"    .reg .{TYPES[self.result][0]} %d;")
        out += [f"    {line}" for line in self.registers]
        out.append("    mov.u32 %t, %tid.x;")
        for letter, (ty, _) in zip(letters, self.inputs):
            _, memory, size, _, _ = TYPES[ty]
            out.append(f"    ld.param.u64 %p, [in_{letter}];")
            out.append(f"    mad.wide.u32 %p, %t, {size}, %p;")
            out.append(f"    ld.global.{memory} %{letter}, [%p];")
        _, memory, size, _, _ = TYPES[self.result]
        out += ["    ld.param.u64 %p, [out];", f"    mad.wide.u32 %p, %t, {size}, %p;"]
        for at, (_, lines, _) in enumerate(self.forms):
            out += [f"    {line}" for line in lines]
            offset = f"+{at * size * count}" if at else ""
            out.append(f"    st.global.{memory} [%p{offset}], %d;")
        return "\n".join([*out, "    ret;", "}", ""])


def split(kernel, most=24):
    """Cuts a kernel of many forms into several."""
    pieces = []
    for at in range(0, len(kernel.forms), most):
        name = kernel.name if len(kernel.forms) <= most else f"{kernel.name}_{at // most + 1}"
        piece = Kernel(name, kernel.inputs, kernel.result, kernel.note, kernel.tolerance, kernel.shown)
        piece.registers = kernel.registers
        piece.forms = kernel.forms[at : at + most]
        pieces.append(piece)
    return pieces


def module(title, kernels, target="sm_90"):
    head = [f"// {title}", "// Made by `generate`; see the README.", ".version 8.8", f".target {target}", ".address_size 64", ""]
    pieces = [piece for kernel in kernels if kernel.forms for piece in split(kernel)]
    return "\n".join([*head, *(piece.render() for piece in pieces)])
