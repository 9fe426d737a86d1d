"""Batch normalisation: inference, training and gradients, with what may follow it."""

import numpy

from dnn_device import *

PER_ACTIVATION, SPATIAL, PERSISTENT = 0, 1, 2
ALONE, ACTIVATION, ADD_ACTIVATION = 0, 1, 2
RELU = 1


class Case:
    def __init__(self, dnn, random):
        self.dtype = some_type(random, halves=False)
        self.mode = int(random.integers(3))
        spread = int(random.integers(2, 4))
        # The library derives packed parameters, which with several axes are in the order of NCHW.
        self.layout = NCHW if self.mode == PER_ACTIVATION else int(random.integers(2))
        self.shape = (int(random.integers(2, 5)), int(random.integers(1, 6)), *sizes(random, 1, 6, spread))
        self.axes = (0,) if self.mode == PER_ACTIVATION else (0, *range(2, 2 + spread))
        self.small = tuple(1 if axis in self.axes else size for axis, size in enumerate(self.shape))
        self.count = int(numpy.prod([self.shape[axis] for axis in self.axes]))
        self.epsilon = float(random.uniform(1e-5, 1e-2))
        self.x = normal(random, self.shape, self.dtype) * 2 + 1
        # Its parameters are kept as floats, and as doubles for doubles.
        self.scale, self.bias, self.mean = (normal(random, self.small, self.dtype) for _ in range(3))
        self.variance = random.uniform(0.5, 2, self.small).astype(self.dtype)

    def mean_and_variance(self):
        x = wide(self.x)
        return x.mean(self.axes, keepdims=True), x.var(self.axes, keepdims=True)

    def gradients(self, dy):
        """By the image, the scale and the bias."""
        mean, variance = self.mean_and_variance()
        inverse = 1 / numpy.sqrt(variance + self.epsilon)
        even = (wide(self.x) - mean) * inverse
        dbias, dscale = dy.sum(self.axes, keepdims=True), (dy * even).sum(self.axes, keepdims=True)
        return wide(self.scale) * inverse * (dy - dbias / self.count - even * dscale / self.count), dscale, dbias

    def described(self, dnn):
        """The descriptor of the parameters, as the library derives it."""
        tensor, derived = Tensor(dnn, self.x, self.layout), Descriptor(dnn, "Tensor")
        dnn("DeriveBNTensorDescriptor", derived, tensor.descriptor, self.mode)
        kind, count, dims, strides = i32(), i32(), ints([0] * 8), ints([0] * 8)
        dnn("GetTensorNdDescriptor", derived, i32(8), ctypes.byref(kind), ctypes.byref(count), dims, strides)
        same(list(dims)[:count.value], list(self.small), "shape of the parameters")
        return derived


def test_inference(dnn, random):
    case = Case(dnn, random)
    y = normal(random, case.shape, case.dtype)
    parameters = [Tensor(dnn, values, case.layout) for values in (case.scale, case.bias, case.mean, case.variance)]
    blend, tx, ty = Blend(random, case.dtype), Tensor(dnn, case.x, case.layout), Tensor(dnn, y, case.layout)
    dnn.run("BatchNormalizationForwardInference", case.mode, blend.a, blend.b, *tx.pair, *ty.pair, case.described(dnn),
            *(tensor.array.p for tensor in parameters), f64(case.epsilon))
    even = (wide(case.x) - case.mean) / numpy.sqrt(wide(case.variance) + case.epsilon)
    close(wide(ty.get()), blend(even * case.scale + case.bias, wide(y)), case.dtype, f"inference, mode {case.mode}", 20)


def test_training(dnn, random):
    case = Case(dnn, random)
    y, dy = (normal(random, case.shape, case.dtype) for _ in range(2))
    scale, bias, running_mean, running_variance, saved_mean, saved_inverse = (
        Tensor(dnn, values, case.layout) for values in (case.scale, case.bias, case.mean, case.variance, case.mean, case.mean))
    factor, described = float(random.uniform(0.05, 1)), case.described(dnn)
    blend, tx, ty = Blend(random, case.dtype), Tensor(dnn, case.x, case.layout), Tensor(dnn, y, case.layout)
    dnn.run("BatchNormalizationForwardTraining", case.mode, blend.a, blend.b, *tx.pair, *ty.pair, described,
            scale.array.p, bias.array.p, f64(factor), running_mean.array.p, running_variance.array.p, f64(case.epsilon),
            saved_mean.array.p, saved_inverse.array.p)
    mean, variance = case.mean_and_variance()
    inverse = 1 / numpy.sqrt(variance + case.epsilon)
    even = (wide(case.x) - mean) * inverse
    # The running variance is the unbiased one.
    unbiased = variance * case.count / (case.count - 1)
    for got, want, what in [
        (ty, blend(even * case.scale + case.bias, wide(y)), "result"),
        (saved_mean, mean, "saved mean"), (saved_inverse, inverse, "saved inverse deviation"),
        (running_mean, (1 - factor) * case.mean + factor * mean, "running mean"),
        (running_variance, (1 - factor) * case.variance + factor * unbiased, "running variance"),
    ]:
        close(wide(got.get()), want, case.dtype, f"training, mode {case.mode}: {what}", 100)

    data, slope = Blend(random, case.dtype), Blend(random, case.dtype)
    dscale, dbias = (Tensor(dnn, values, case.layout) for values in (case.scale, case.bias))
    dx, tdy = Tensor(dnn, y, case.layout), Tensor(dnn, dy, case.layout)
    saved = (saved_mean.array.p, saved_inverse.array.p) if random.integers(2) else (None, None)
    dnn.run("BatchNormalizationBackward", case.mode, data.a, data.b, slope.a, slope.b, *tx.pair, *tdy.pair, *dx.pair, described,
            scale.array.p, dscale.array.p, dbias.array.p, f64(case.epsilon), *saved)
    by_image, by_scale, by_bias = case.gradients(wide(dy))
    for got, want, what in [(dx, data(by_image, wide(y)), "image"), (dscale, slope(by_scale, wide(case.scale)), "scale"),
                            (dbias, slope(by_bias, wide(case.bias)), "bias")]:
        close(wide(got.get()), want, case.dtype, f"backward, mode {case.mode}: {what}", 200)


def test_training_with_what_follows(dnn, random):
    """Normalise, add, cut off below 0: as one call, and back."""
    case, operations = Case(dnn, random), int(random.integers(3))
    case.mode, case.axes = PERSISTENT, (0, *range(2, len(case.shape)))
    case.small = (1, case.shape[1], *[1] * (len(case.shape) - 2))
    case.count = int(numpy.prod(case.shape)) // case.shape[1]
    case.scale, case.bias = (normal(random, case.small, case.dtype) for _ in range(2))
    z, dy = (normal(random, case.shape, case.dtype) for _ in range(2))
    adds, cuts = operations == ADD_ACTIVATION, operations != ALONE
    how = dnn.made("Activation", RELU, 1, f64(0))
    described, empty = case.described(dnn), numpy.zeros(case.small, case.dtype)
    scale, bias, running_mean, running_variance, saved_mean, saved_inverse, dscale, dbias = (
        Tensor(dnn, values, case.layout) for values in (case.scale, case.bias, *[empty] * 6))
    tx, tz, ty, tdy, dx, dz = (Tensor(dnn, values, case.layout) for values in (case.x, z, z, dy, z, z))
    one, zero = one_and_zero(case.dtype)
    added = tz.pair if adds else (None, None)
    activation = how if cuts else None
    space = dnn.bytes("GetBatchNormalizationForwardTrainingExWorkspaceSize", dnn.handle, case.mode, operations, tx.descriptor,
                      added[0], ty.descriptor, described, activation)
    kept = dnn.bytes("GetBatchNormalizationTrainingExReserveSpaceSize", dnn.handle, case.mode, operations, activation, tx.descriptor)
    back = dnn.bytes("GetBatchNormalizationBackwardExWorkspaceSize", dnn.handle, case.mode, operations, tx.descriptor,
                     ty.descriptor, tdy.descriptor, dz.descriptor if adds else None, dx.descriptor, described, activation)
    workspace, reserve = dnn.space(max(space, back)), dnn.space(kept)
    dnn.run("BatchNormalizationForwardTrainingEx", case.mode, operations, one, zero, *tx.pair, *added, *ty.pair, described,
            scale.array.p, bias.array.p, f64(1), running_mean.array.p, running_variance.array.p, f64(case.epsilon),
            saved_mean.array.p, saved_inverse.array.p, activation, workspace.p, size_t(space), reserve.p, size_t(kept))
    mean, variance = case.mean_and_variance()
    want = (wide(case.x) - mean) / numpy.sqrt(variance + case.epsilon) * case.scale + case.bias + (wide(z) if adds else 0)
    # What is so near the edge that rounding decides is left out of the comparison.
    sure = numpy.abs(want) > 1e-4
    close(wide(ty.get()), numpy.maximum(want, 0) if cuts else want, case.dtype, f"training with operations {operations}", 100)
    passed = wide(dy) * (want > 0) if cuts else wide(dy)
    if not sure.all():
        return
    by_image, by_scale, by_bias = case.gradients(passed)
    dnn.run("BatchNormalizationBackwardEx", case.mode, operations, one, zero, one, zero, *tx.pair, *ty.pair, *tdy.pair,
            *(dz.pair if adds else (None, None)), *dx.pair, described, scale.array.p, bias.array.p, dscale.array.p, dbias.array.p,
            f64(case.epsilon), saved_mean.array.p, saved_inverse.array.p, activation, workspace.p, size_t(back), reserve.p,
            size_t(kept))
    for got, want, what in [(dx, by_image, "image"), (dscale, by_scale, "scale"), (dbias, by_bias, "bias"),
                            *([(dz, passed, "what was added")] if adds else [])]:
        close(wide(got.get()), want, case.dtype, f"backward with operations {operations}: {what}", 200)
