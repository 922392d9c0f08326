"""``python -m service`` is the same as ``contour-node``."""

import sys

from service.cli import main

if __name__ == "__main__":
    sys.exit(main())
