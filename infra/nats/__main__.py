"""`python -m infra.nats`: write nats-server's configuration anew, after contracts or permissions changed."""

from __future__ import annotations

from infra.nats.configuration import FILE, text

if __name__ == "__main__":
    FILE.write_text(text())
