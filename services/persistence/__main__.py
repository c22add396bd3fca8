"""`python -m services.persistence` starts the service."""

from services.persistence.app import main

main()
