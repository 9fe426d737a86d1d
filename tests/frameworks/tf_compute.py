"""TensorFlow and Keras on the GPU against the CPU. Run it under `rgpu local` or `rgpu run`."""

import sys

from tf_support import TensorFlow
import runner
import tf_keras
import tf_layers
import tf_ops
import tf_recurrent

MODULES = [tf_layers, tf_ops, tf_keras, tf_recurrent]

if __name__ == "__main__":
    sys.exit(runner.main(MODULES, TensorFlow(), 2, __doc__))
