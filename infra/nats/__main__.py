"""`python -m infra.nats`: write nats-server's configuration, after changes of contracts or permissions."""

from __future__ import annotations

from infra.nats.configuration import FILE, text

if __name__ == "__main__":
    FILE.write_text(text())
