"""Cost of FastStream's pipeline for a batch of messages, beside a plain call: `python -m tests.bench.bench_faststream`.

The handler does nothing, so that the pipeline alone is measured: CPU time of one process, in turns, in one run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from faststream.nats import NatsBroker
from nats.aio.msg import Msg

from contracts.streams import DETECTIONS
from contracts.subjects import detections
from services.kit.nats.subscribers import jetstream_subscriber
from services.kit.nats.traffic import TrafficMetrics

BATCHES, ROUNDS = 2000, 5
SIZES = (1, 8, 32, 500)

Deliver = Callable[[Sequence[Msg]], Awaitable[None]]


async def plain(messages: Sequence[Msg]) -> None:
    """Do nothing."""


async def cost(deliver: Deliver, size: int) -> float:
    """Microseconds of CPU a batch."""
    message = Msg(_client=None, subject=detections("live", "shop", "door"), data=bytes(1000))  # type: ignore[arg-type]
    batch = [message] * size
    began = time.process_time()
    for _ in range(BATCHES):
        await deliver(batch)
    return (time.process_time() - began) / BATCHES * 1e6


async def main() -> None:
    """Print the cost of each size of batch."""
    kinds: dict[str, Deliver] = {"a plain call": plain}
    for name, middlewares in {
        "the pipeline": [],
        "the pipeline with metrics": [TrafficMetrics],
    }.items():
        broker = NatsBroker(logger=None, apply_types=False, middlewares=middlewares)
        broker._setup_logger()  # else done by connecting; a `TestNatsBroker` would add its recording of calls
        subscriber = jetstream_subscriber(broker, DETECTIONS)

        @subscriber
        async def handle(messages: list[Msg]) -> None:
            await plain(messages)

        await subscriber.start()
        kinds[name] = subscriber.deliver
    print("µs a batch" + "".join(f"{size:>10}" for size in SIZES))
    for name, deliver in kinds.items():
        least = [min([await cost(deliver, size) for _ in range(ROUNDS)]) for size in SIZES]
        print(f"{name:26}" + "".join(f"{each:10.1f}" for each in least))


if __name__ == "__main__":
    asyncio.run(main())
