import pytest

from tasks.errors import PermanentError, TransientError
from tasks.images.faults import GpuLostError, PictureMemoryError, picture_fault


class OutOfMemoryError(RuntimeError):
    """Stands for torch's class of this name."""


class AcceleratorError(RuntimeError):
    """Stands for torch's class of this name."""


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("no more"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        MemoryError(),
    ],
)
def test_memory_faults_are_told_apart_from_a_lost_gpu(error: Exception) -> None:
    assert isinstance(picture_fault(error), PictureMemoryError)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        AcceleratorError("unknown"),
    ],
)
def test_a_broken_context_means_that_the_gpu_is_lost(error: Exception) -> None:
    fault = picture_fault(error)
    assert isinstance(fault, GpuLostError)
    assert isinstance(fault, TransientError)
    assert "\n" not in str(fault)


def test_any_other_failure_of_the_model_is_permanent() -> None:
    fault = picture_fault(RuntimeError("The size of tensor a (3) must match"))
    assert isinstance(fault, PermanentError)
    assert "size of tensor" in str(fault)
