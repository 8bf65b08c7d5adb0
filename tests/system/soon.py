"""`tracklayer serve` that looks after what is old at once and all the time, instead of every hour."""

from __future__ import annotations

import sys

from tracklayer.cli import main
from tracklayer.operate import maintenance

if __name__ == "__main__":
    maintenance.FIRST = 2.0
    maintenance.EVERY = maintenance.AGAIN = 0.5
    sys.argv = ["tracklayer", "serve"]
    main()
