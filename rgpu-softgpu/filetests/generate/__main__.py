"""Writes the numeric file tests: `python3 rgpu-softgpu/filetests/generate` from the repository's root.

`--check` writes nothing and fails if a file is not what would be written.

The answers come from the PTX manual's rules in exact integers and fractions; nothing here knows the compiler.
"""

import sys
from pathlib import Path

import approximate
import compare
import convert
import floats
import integers
import video
from layout import module

FILES = {
    "integer_arithmetic": ("Integer arithmetic.", [integers.sums, integers.packed, integers.products, integers.divisions, integers.constant_divisions, integers.orders, integers.dots]),
    "integer_carry": ("Carry chains: what comes in and goes out.", [integers.carries]),
    "integer_bits": ("Bit counting, bit fields, byte permutation.", [integers.counts, integers.fields, integers.permutes]),
    "integer_logic": ("Logic and shifts, with counts past the width.", [integers.logic, integers.shifts]),
    "float_single": ("Single precision in every rounding.", [lambda: floats.arithmetic(["f32"]), lambda: floats.fused(["f32"])]),
    "float_double": ("Double precision in every rounding.", [lambda: floats.arithmetic(["f64"]), lambda: floats.fused(["f64"])]),
    "float_half": ("Half precision.", [lambda: floats.arithmetic(floats.HALVES), lambda: floats.fused(floats.HALVES)]),
    "float_division": ("Quotients, reciprocals and roots in every rounding.", [floats.quotients]),
    "float_signs": ("Signs and properties of floats.", [floats.signs, floats.properties]),
    "float_extremes": ("Minimum and maximum.", [floats.extremes]),
    "float_newer": ("Float arithmetic that came with sm_100: pairs of singles, mixed precision, three operands.", [lambda: floats.arithmetic(["f32x2"]), lambda: floats.fused(["f32x2"]), floats.mixed, floats.three_extremes]),
    "float_approximate": ("Approximate functions: special values exactly, others within the manual's bounds.", [approximate.functions]),
    "compare_setp": ("Comparisons that give predicates.", [compare.predicates, compare.predicate_operands]),
    "compare_set": ("Comparisons that give numbers.", [compare.sets]),
    "compare_select": ("Selections.", [compare.selections]),
    "convert_integers": ("Conversions from and to integers.", [convert.between_integers, convert.wide_registers, convert.from_integers, convert.to_integers, convert.packs]),
    "convert_floats": ("Conversions between floats.", [convert.between_floats, convert.pairs_of_halves, convert.tensor_floats, convert.bytes_of_floats, convert.random_rounding]),
    "video_scalar": ("Video instructions on one value.", [video.scalars, video.multiply_adds]),
    "video_vector": ("Video instructions on pairs and quads.", [video.vectors]),
}  # fmt: skip

# Files whose instructions need a newer target than the others, for those who assemble them.
TARGETS = {"float_newer": "sm_100", "convert_floats": "sm_100a"}


def main():
    folder = Path(__file__).resolve().parent.parent
    checking = sys.argv[1:] == ["--check"]
    stale = []
    for name, (title, families) in FILES.items():
        kernels = [kernel for family in families for kernel in family()]
        text = module(title, kernels, TARGETS.get(name, "sm_90"))
        path = folder / f"{name}.ptx"
        if not checking:
            path.write_text(text)
        elif path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"run python3 rgpu-softgpu/filetests/generate: {', '.join(stale)} is not what it writes")


if __name__ == "__main__":
    main()
