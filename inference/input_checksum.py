"""The proof that a model contoured the volume that was sent: a checksum of what it saw comes back with its answer."""

import hashlib
import threading

import numpy as np
from numpy.typing import NDArray

OUTPUT = "input_sha256"
"""The output of every contouring model that holds it."""
SIZE_BYTES = hashlib.sha256().digest_size


def input_sha256(image_zyx: NDArray[np.generic], spacing_mm: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the SHA-256 (32 bytes) of an image's type, shape and values (index order z, y, x), and of its spacing."""
    digest = hashlib.sha256(f"{image_zyx.dtype.str} {image_zyx.shape} ".encode())
    digest.update(np.ascontiguousarray(spacing_mm, np.float32).data)
    for slice_yx in image_zyx:  # one at a time: no copy of a whole volume that is not contiguous
        digest.update(np.ascontiguousarray(slice_yx).data)
    return np.frombuffer(digest.digest(), np.uint8)


class ChecksumBeside:
    """The checksum of a volume, taken in a thread of its own while something else is done with the volume.

    Hashing frees the interpreter, so that a network, or the wait for it, loses no time to it.
    """

    def __init__(self, image_zyx: NDArray[np.generic], spacing_mm: NDArray[np.float32]) -> None:
        """Begin; the arrays must stay as they are until ``value`` returns."""
        self._value = np.empty(0, np.uint8)
        self._thread = threading.Thread(target=self._take, args=(image_zyx, spacing_mm))
        self._thread.start()

    def value(self) -> NDArray[np.uint8]:
        """Return what ``input_sha256`` returns."""
        self._thread.join()
        return self._value

    def _take(self, image_zyx: NDArray[np.generic], spacing_mm: NDArray[np.float32]) -> None:
        self._value = input_sha256(image_zyx, spacing_mm)
