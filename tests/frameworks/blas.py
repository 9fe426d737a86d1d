"""cuBLAS and cuBLASLt against NumPy, at random shapes, through ctypes.

Takes whatever `libcuda.so.1`, `libcublas.so.12` and `libcublasLt.so.12` the loader finds: run it under `rgpu local`,
`rgpu run`, or with the software GPU's libraries in LD_PRELOAD.

    python blas.py [--seed N] [--rounds N] [NAME…]
"""

import argparse
import ctypes
import sys
import traceback

import numpy

from blas_device import Device
import blas_factors
import blas_level1
import blas_level2
import blas_level3
import blas_lt
import blas_products
import blas_structured

MODULES = [blas_products, blas_level1, blas_level2, blas_level3, blas_structured, blas_factors, blas_lt]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("names", nargs="*", help="tests to run; all without")
    arguments = parser.parse_args()
    device = Device()
    failed = 0
    for module in MODULES:
        for name, test in vars(module).items():
            if not name.startswith("test_") or (arguments.names and name not in arguments.names):
                continue
            try:
                for round_number in range(arguments.rounds):
                    random = numpy.random.default_rng([arguments.seed, round_number])
                    test(device, random)
                device.check_streams()
                print("ok    ", name)
            except Exception:
                failed += 1
                print("FAILED", name, "in round", round_number, "of seed", arguments.seed)
                traceback.print_exc()
    print("failed:", failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
