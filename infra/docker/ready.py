"""Health check of a container: prints its service's answer at /readyz; exit code 0 if it is ready.

It runs every few seconds in each container, and so must start fast: in 20 ms, with sockets only and no package.
"""

import os
import socket
import sys

TIMEOUT = 20.0


def main() -> int:
    """Print the answer, and return the exit code."""
    port = int(os.environ["METRICA_PORT"])
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    print(body.decode(errors="replace").strip())
    return 0 if head.split(b" ", 2)[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
