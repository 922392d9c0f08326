"""The proof that a model contoured the volume that was sent: its answer includes a checksum of what it saw."""

import hashlib
import threading

import numpy as np
from numpy.typing import NDArray

OUTPUT = "input_sha256"
"""The name of the output in which every contouring model returns it."""
SIZE_BYTES = hashlib.sha256().digest_size


def input_sha256(image_zyx: NDArray[np.generic], spacing_mm: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the SHA-256 (32 bytes) of an image's type, shape and values (index order z, y, x), and of its spacing."""
    digest = hashlib.sha256(f"{image_zyx.dtype.str} {image_zyx.shape} ".encode())
    digest.update(np.ascontiguousarray(spacing_mm, np.float32).data)
    for slice_yx in image_zyx:  # one at a time, to avoid copying a whole non-contiguous volume
        digest.update(np.ascontiguousarray(slice_yx).data)
    return np.frombuffer(digest.digest(), np.uint8)


class ChecksumBeside:
    """The checksum of a volume, computed in a thread of its own while the volume is used.

    Hashing releases the interpreter lock, so it costs a network, or the wait for one, no time.
    """

    def __init__(self, image_zyx: NDArray[np.generic], spacing_mm: NDArray[np.float32]) -> None:
        """Start; the arrays must not change until ``value`` returns."""
        self._value = np.empty(0, np.uint8)
        self._thread = threading.Thread(target=self._take, args=(image_zyx, spacing_mm))
        self._thread.start()

    def value(self) -> NDArray[np.uint8]:
        """Wait for the checksum and return it, as ``input_sha256`` does."""
        self._thread.join()
        return self._value

    def _take(self, image_zyx: NDArray[np.generic], spacing_mm: NDArray[np.float32]) -> None:
        self._value = input_sha256(image_zyx, spacing_mm)
