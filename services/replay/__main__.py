"""`python -m services.replay`."""

from services.replay.app import main

main()
