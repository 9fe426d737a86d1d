"""cuDNN against NumPy, at random shapes, through ctypes: the functions that are not part of its graphs.

Takes whatever `libcuda.so.1`, `libcublas.so.12` and `libcudnn.so.9` the loader finds: run it under `rgpu local` or
`rgpu run`. TensorFlow's convolutions (tf_layers.py) go through the graphs.
"""

import sys

from dnn_device import Dnn
import dnn_convolution
import dnn_layers
import dnn_norm
import dnn_tensors
import runner

MODULES = [dnn_convolution, dnn_layers, dnn_norm, dnn_tensors]

if __name__ == "__main__":
    sys.exit(runner.main(MODULES, Dnn(), 30, __doc__))
