"""PyTorch as far as its wheel goes where machine code does not run: the wheel has no PTX, so whatever launches one of
its own kernels must be refused with CUDA's words, and the rest must work.
"""

import sys

import numpy
import torch
from torch.nn import functional

import runner
from arrays import close, equal

NO_KERNEL = "no kernel image is available for execution on the device"


def normal(random, *shape):
    return torch.from_numpy(random.standard_normal(shape).astype(numpy.float32))


def refused(operation):
    """`operation` must fail for want of machine code, with a CUDA error and no crash."""
    try:
        operation()
        torch.cuda.synchronize()
    except RuntimeError as error:
        if NO_KERNEL not in str(error):
            raise
        print("refused:", NO_KERNEL)
    # A GPU that runs machine code carries it out.


def test_device(_, random):
    assert torch.cuda.is_available() and torch.cuda.device_count() == 1
    properties = torch.cuda.get_device_properties(0)
    assert (properties.major, properties.minor) == torch.cuda.get_device_capability()
    assert properties.multi_processor_count > 0 and properties.name == torch.cuda.get_device_name()
    free, total = torch.cuda.mem_get_info()
    assert 0 < free <= total == properties.total_memory, (free, total, properties)


def test_allocator(_, random):
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    before = torch.cuda.memory_allocated()
    a = torch.empty(32 << 20, dtype=torch.uint8, device="cuda")
    assert torch.cuda.memory_allocated() == before + (32 << 20)
    assert torch.cuda.mem_get_info()[0] <= free - (32 << 20)
    place = a.data_ptr()
    del a
    assert torch.cuda.memory_allocated() == before
    assert torch.empty(32 << 20, dtype=torch.uint8, device="cuda").data_ptr() == place
    torch.cuda.empty_cache()
    assert torch.cuda.mem_get_info()[0] == free
    try:
        torch.empty(free + (1 << 30), dtype=torch.uint8, device="cuda")
    except torch.OutOfMemoryError:
        pass
    else:
        raise AssertionError("more than there is was allocated")


def test_copies(_, random):
    for count in (1, 1000, 3_000_001):
        x = torch.from_numpy(random.integers(0, 255, count).astype(numpy.uint8))
        assert torch.equal(x.cuda().cpu(), x)
    x = normal(random, 64, 64).cuda()
    y = torch.empty_like(x)
    y.copy_(x)
    assert torch.equal(y.cpu(), x.cpu())


def test_pinned_copies_in_a_stream(_, random):
    x = normal(random, 1 << 20).pin_memory()
    back = torch.empty(1 << 20).pin_memory()
    assert x.is_pinned() and back.is_pinned()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        a = x.to("cuda", non_blocking=True)
        back.copy_(a, non_blocking=True)
    stream.synchronize()
    assert torch.equal(back, x)


def test_events(_, random):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    side = torch.cuda.Stream()
    x = normal(random, 512, 512).cuda()
    begin.record()
    y = x @ x
    end.record()
    side.wait_event(end)
    with torch.cuda.stream(side):
        z = y @ x
    side.synchronize()
    assert end.query() and begin.elapsed_time(end) >= 0
    x = x.cpu().numpy()
    close(z.cpu(), x @ x @ x, 1e-3)


def test_products(_, random):
    a, b = normal(random, 65, 130), normal(random, 130, 33)
    close(torch.mm(a.cuda(), b.cuda()).cpu(), a.numpy() @ b.numpy(), 1e-4)
    v = normal(random, 130)
    close(torch.mv(a.cuda(), v.cuda()).cpu(), a.numpy() @ v.numpy(), 1e-4)
    close(torch.dot(v.cuda(), v.cuda()).cpu(), v.numpy() @ v.numpy(), 1e-4)


def test_batched_products(_, random):
    a, b = normal(random, 4, 17, 19), normal(random, 4, 19, 23)
    close(torch.bmm(a.cuda(), b.cuda()).cpu(), a.numpy() @ b.numpy(), 1e-4)
    close((a.cuda() @ b.cuda()).cpu(), a.numpy() @ b.numpy(), 1e-4)


def test_products_of_other_types(_, random):
    for kind, tolerance in ((torch.float64, 1e-12), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)):
        a, b = normal(random, 64, 96).to(kind), normal(random, 96, 32).to(kind)
        got = torch.mm(a.cuda(), b.cuda()).cpu()
        close(got.double(), a.double() @ b.double(), tolerance)


def test_linear_layer(_, random):
    layer = torch.nn.Linear(48, 32)
    x = normal(random, 16, 48)
    expected = (x @ layer.weight.t() + layer.bias).detach().numpy()
    # Addition of the bias is an epilogue of cuBLASLt.
    close(layer.cuda()(x.cuda()).detach().cpu(), expected, 1e-4)
    bias, a, b = normal(random, 32), normal(random, 16, 48), normal(random, 48, 32)
    close(torch.addmm(bias.cuda(), a.cuda(), b.cuda()).cpu(), torch.addmm(bias, a, b), 1e-4)


def test_convolution(_, random):
    x, kernel, bias = normal(random, 2, 3, 12, 11), normal(random, 5, 3, 3, 3), normal(random, 5)
    windows = numpy.lib.stride_tricks.sliding_window_view(x.numpy(), (3, 3), axis=(2, 3))
    expected = numpy.einsum("nchwij,ocij->nohw", windows, kernel.numpy())
    close(functional.conv2d(x.cuda(), kernel.cuda()).cpu(), expected, 1e-4)


def test_gradient_of_a_convolution(_, random):
    x, kernel, out = normal(random, 2, 3, 8, 8), normal(random, 4, 3, 3, 3), normal(random, 2, 4, 6, 6)
    on_gpu = [t.cuda().requires_grad_() for t in (x, kernel)]
    on_cpu = [t.clone().requires_grad_() for t in (x, kernel)]
    got = torch.autograd.grad(functional.conv2d(*on_gpu), on_gpu, out.cuda())
    expected = torch.autograd.grad(functional.conv2d(*on_cpu), on_cpu, out)
    for one, other in zip(got, expected):
        close(one.cpu(), other, 1e-4)


def test_batch_normalisation(_, random):
    x = normal(random, 4, 6, 5, 5)
    mean, variance = normal(random, 6), normal(random, 6).abs() + 0.5
    got = torch.cudnn_batch_norm(
        x.cuda(), torch.ones(6).cuda(), torch.zeros(6).cuda(), mean.cuda(), variance.cuda(), False, 0.1, 1e-5
    )[0]
    shape = (1, 6, 1, 1)
    close(got.cpu(), (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + 1e-5), 1e-4)


def test_elementwise(_, random):
    x = normal(random, 100)
    refused(lambda: close((x.cuda() + 1).cpu(), x + 1))


def test_reduction(_, random):
    x = normal(random, 100)
    refused(lambda: close(x.cuda().sum().cpu(), x.sum()))


def test_fill(_, random):
    refused(lambda: equal(torch.ones(10, device="cuda").cpu(), numpy.ones(10)))


def test_sort(_, random):
    x = normal(random, 100)
    refused(lambda: equal(x.cuda().sort()[0].cpu(), x.sort()[0]))


def test_random(_, random):
    refused(lambda: torch.randn(100, device="cuda").cpu())


def test_after_refusals_the_context_is_usable(_, random):
    a = normal(random, 8, 8)
    close(torch.mm(a.cuda(), a.cuda()).cpu(), a.numpy() @ a.numpy(), 1e-4)


class PyTorch:
    def settle(self):
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(runner.main([sys.modules[__name__]], PyTorch(), 1, __doc__))
