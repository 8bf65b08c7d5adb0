"""`python -m tracklayer`."""

from tracklayer.cli import main

main()
