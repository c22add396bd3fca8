"""`python -m services.tracker`."""

from services.tracker.app import main

main()
