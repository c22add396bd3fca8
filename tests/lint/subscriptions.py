"""No module subscribes past FastStream's pipeline: `python -m tests.lint.subscriptions`.

A raw `client.subscribe(...)` has none of the middlewares: no metrics, no traces. `services.kit.nats.subscribers` has
what stands in its place (docs/decisions/091).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.lint.measurements import ROOT, Module, modules

ALLOWED = {
    "services/kit/nats/consumers/pull_subscription.py": "pulls from streams; the batches are delivered to subscribers",
    "services/kit/nats/subscribers.py": "is the adapter",
}
"""Modules and folders that may subscribe, and the reason."""
METHODS = {"subscribe", "pull_subscribe", "pull_subscribe_bind", "subscribe_bind"}
"""nats-py's, of its client and of JetStream."""


def problems(root: Path) -> list[str]:
    """The raw subscriptions of a checkout, one line each."""
    return [
        f"{module.path}:{line}: subscribes past FastStream: use services.kit.nats.subscribers"
        for module in modules(root, ("services",))
        if not any(module.path.is_relative_to(allowed) for allowed in ALLOWED)
        for line in _subscriptions(module)
    ]


def _subscriptions(module: Module) -> Iterator[int]:
    for call in module.walk(ast.Call):
        assert isinstance(call, ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr in METHODS:
            yield call.lineno


def main() -> int:
    """Print the problems. Returns the exit status."""
    raw = problems(ROOT)
    print(*raw, sep="\n", end="\n" if raw else "")
    return 1 if raw else 0


if __name__ == "__main__":
    sys.exit(main())
