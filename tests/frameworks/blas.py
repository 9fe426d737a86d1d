"""cuBLAS and cuBLASLt against NumPy, at random shapes, through ctypes.

Takes whatever `libcuda.so.1`, `libcublas.so.12` and `libcublasLt.so.12` the loader finds: run it under `rgpu local` or
`rgpu run`.
"""

import sys

from blas_device import Device
import blas_factors
import blas_level1
import blas_level2
import blas_level3
import blas_lt
import blas_products
import blas_structured
import runner

MODULES = [blas_products, blas_level1, blas_level2, blas_level3, blas_structured, blas_factors, blas_lt]

if __name__ == "__main__":
    sys.exit(runner.main(MODULES, Device(), 20, __doc__))
