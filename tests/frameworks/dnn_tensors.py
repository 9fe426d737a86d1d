"""Operations on whole tensors, reductions, changes of layout."""

import numpy

from dnn_device import *

ADD, MULTIPLY, MINIMUM, MAXIMUM, ROOT, NOT = range(6)
BY_ADD, BY_MULTIPLY, BY_MINIMUM, BY_MAXIMUM, BY_LARGEST, BY_MEAN, BY_NORM1, BY_NORM2, BY_MULTIPLY_NO_ZEROS = range(9)
NO_INDICES = 0


def some_shape(random):
    return (*sizes(random, 1, 6, 2), *sizes(random, 1, 7, int(random.integers(2, 4))))


def flattened(random, shape):
    """The same with some sizes 1."""
    return tuple(size if random.integers(2) else 1 for size in shape)


def kind_of(dtype):
    return KINDS[numpy.dtype(dtype)]


def test_operations(dnn, random):
    shape, dtype = some_shape(random), some_type(random, halves=False)
    a, b, c = normal(random, shape, dtype), normal(random, flattened(random, shape), dtype), normal(random, shape, dtype)
    for operation, function in [(ADD, numpy.add), (MULTIPLY, numpy.multiply), (MINIMUM, numpy.minimum),
                                (MAXIMUM, numpy.maximum), (ROOT, lambda a, _: numpy.sqrt(a)), (NOT, lambda a, _: 1 - a)]:
        first, second = float(abs(random.standard_normal())), float(random.standard_normal())
        values = abs(a) if operation == ROOT else a
        factors = [Blend.scalar(value, dtype) for value in (first, second)]
        how = dnn.made("OpTensor", operation, kind_of(dtype), 1)
        blend, ta, tb, tc = Blend(random, dtype), Tensor(dnn, values), Tensor(dnn, b), Tensor(dnn, c)
        dnn.run("OpTensor", how, ctypes.byref(factors[0]), *ta.pair, ctypes.byref(factors[1]), *tb.pair, blend.b, *tc.pair)
        want = function(first * wide(values), second * wide(b)) + (blend.beta * wide(c) if blend.beta else 0)
        close(wide(tc.get()), want, dtype, f"operation {operation}", 10)


def test_add_scale_set(dnn, random):
    shape, dtype = some_shape(random), some_type(random, halves=False)
    a, c = normal(random, flattened(random, shape), dtype), normal(random, shape, dtype)
    layout = int(random.integers(2))
    blend, ta, tc = Blend(random, dtype), Tensor(dnn, a, layout), Tensor(dnn, c, layout)
    dnn.run("AddTensor", blend.a, *ta.pair, blend.b, *tc.pair)
    want = blend(wide(a), wide(c)) + numpy.zeros(shape)
    close(wide(tc.get()), want, dtype, "AddTensor", 10)
    dnn.run("ScaleTensor", *tc.pair, blend.a)
    close(wide(tc.get()), blend.alpha * want, dtype, "ScaleTensor", 20)
    value = Blend.scalar(1.5, dtype)
    dnn.run("SetTensor", *tc.pair, ctypes.byref(value))
    same(bool((tc.get() == 1.5).all()), True, "SetTensor")


def test_changes_of_layout(dnn, random):
    shape = some_shape(random)
    dtype = some_type(random)
    x, y, (one, two) = normal(random, shape, dtype), normal(random, shape, dtype), sizes(random, 0, 2, 2)
    blend, tx, ty = Blend(random, dtype), Tensor(dnn, x, one), Tensor(dnn, y, two)
    dnn.run("TransformTensor", blend.a, *tx.pair, blend.b, *ty.pair)
    close(wide(ty.get()), blend(wide(x), wide(y)), dtype, f"layout {one} to {two}", 10)


def test_reductions(dnn, random):
    shape, dtype = some_shape(random), some_type(random, halves=False)
    small = flattened(random, shape)
    axes = tuple(axis for axis, size in enumerate(small) if size == 1)
    a, c = normal(random, shape, dtype), normal(random, small, dtype)
    a[random.random(shape) < 0.1] = 0
    count = int(numpy.prod([shape[axis] for axis in axes]))
    w = wide(a)
    for operation, want in [
        (BY_ADD, w.sum(axes, keepdims=True)), (BY_MULTIPLY, w.prod(axes, keepdims=True)),
        (BY_MINIMUM, w.min(axes, keepdims=True)), (BY_MAXIMUM, w.max(axes, keepdims=True)),
        (BY_LARGEST, abs(w).max(axes, keepdims=True)), (BY_MEAN, w.mean(axes, keepdims=True)),
        (BY_NORM1, abs(w).sum(axes, keepdims=True)), (BY_NORM2, numpy.sqrt((w * w).sum(axes, keepdims=True))),
        (BY_MULTIPLY_NO_ZEROS, numpy.where(w == 0, 1, w).prod(axes, keepdims=True)),
    ]:
        how = dnn.made("ReduceTensor", operation, kind_of(dtype), 1, NO_INDICES, 0)
        blend, ta, tc = Blend(random, dtype), Tensor(dnn, a), Tensor(dnn, c)
        workspace = dnn.bytes("GetReductionWorkspaceSize", dnn.handle, how, ta.descriptor, tc.descriptor)
        places = dnn.bytes("GetReductionIndicesSize", dnn.handle, how, ta.descriptor, tc.descriptor)
        space, found = dnn.space(workspace), dnn.space(places)
        dnn.run("ReduceTensor", how, found.p, size_t(places), space.p, size_t(workspace), blend.a, *ta.pair, blend.b, *tc.pair)
        close(wide(tc.get()), blend(want, wide(c)), dtype, f"reduction {operation} over {axes} of {shape}", count)
