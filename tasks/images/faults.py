"""What can go wrong on the device while drawing; the worker decides about its own process.

TransientError
├── PictureMemoryError   not even one picture fits in the device's memory now
└── GpuLostError         the CUDA context is broken: only a new process helps

Recognition is by class name and message, so that nothing here imports torch.
"""

from tasks.errors import CastlineError, PermanentError, TransientError

MEMORY_SIGNS = (
    "out of memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "can't allocate memory",
    "cannot allocate memory",
)
LOST_SIGNS = (
    "cuda error",
    "device-side assert",
    "cublas",
    "cudnn_status",
    "cudnn error",
    "nccl",
    "unspecified launch failure",
    "illegal memory access",
)


class PictureMemoryError(TransientError):
    """A picture did not fit in the device's memory, even alone and after freeing the cache."""


class GpuLostError(TransientError):
    """The GPU answers every call of this process with an error; the process must be replaced."""


def weight_faults() -> tuple[type[Exception], ...]:
    """What diffusers, transformers and peft were seen to raise for weights that they cannot use."""
    from safetensors import SafetensorError

    return (
        OSError,
        ValueError,
        LookupError,
        RuntimeError,
        ImportError,
        TypeError,
        AttributeError,
        SafetensorError,
    )


def picture_fault(error: Exception) -> CastlineError:
    """Say what an exception from inside the pipeline means, as one of our errors.

    Memory is looked for first: "CUDA error: out of memory" leaves the context usable. Whatever
    is neither memory nor a lost device is permanent: the same picture would fail again.
    """
    text = str(error).lower()
    summary = str(error).strip().splitlines()[0][:200] if text.strip() else type(error).__name__
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(sign in text for sign in MEMORY_SIGNS)
    ):
        return PictureMemoryError(
            f"The picture did not fit in memory: {summary}",
            hint="Ask for smaller pictures, or free memory on that device.",
        )
    if type(error).__name__ == "AcceleratorError" or any(sign in text for sign in LOST_SIGNS):
        return GpuLostError(f"The GPU stopped working in this process: {summary}")
    return PermanentError(f"The model failed on this picture: {summary}")
