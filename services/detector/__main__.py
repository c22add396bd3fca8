"""`python -m services.detector`."""

from services.detector.app import main

main()
