"""``python -m cleanroom``."""

import sys

from cleanroom.cli import main

if __name__ == "__main__":  # a worker process imports this file under another name
    sys.exit(main())
