"""Comparing what a framework computed with NumPy."""

import numpy


def close(actual, expected, tolerance=1e-5):
    """The same shape, and the same values relative to the largest of them."""
    actual, expected = numpy.asarray(actual), numpy.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    scale = max(1.0, float(numpy.abs(expected).max(initial=0)))
    numpy.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def equal(actual, expected):
    """The same values."""
    numpy.testing.assert_array_equal(numpy.asarray(actual), numpy.asarray(expected))
