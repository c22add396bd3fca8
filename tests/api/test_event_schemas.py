"""The events of live streams are as the OpenAPI document describes them, by its extension `x-events`."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema_rs import validator_for

from contracts.events import State, Status
from contracts.identity import LIVE
from services.api.live.messages import EVENTS
from tests.api.served import BROWSER, SentEvent, Served, boxes
from tests.api.test_live import publish
from tests.persistence.builders import crossing

STATUS = Status(run=LIVE, store="shop", camera="door", service="ingest", state=State.RUNNING, at=1)
PATHS = {
    "store": "/v1/stores/{store}/events",
    "organization": "/v1/organizations/{organization}/events",
    "tracks": "/v1/cameras/{camera}/tracks",
}


async def described(served: Served, stream: str) -> dict[str, dict[str, Any]]:
    """The schema of each event of a stream."""
    document = (await served.client.get("/openapi.json")).json()
    events = document["paths"][PATHS[stream]]["get"]["x-events"]
    return {name: {**reference, "components": document["components"]} for name, reference in events.items()}


def check(event: SentEvent, schema: dict[str, Any]) -> None:
    validator_for(schema).validate(event.data)
    properties = schema["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    assert set(event.data) <= set(properties), event.kind


@pytest.mark.parametrize("stream", PATHS)
async def test_each_event_that_is_sent_is_as_it_is_described(served: Served, stream: str) -> None:
    await served.set_up(name="Front door")
    await served.pool.execute("""UPDATE store SET capacity = 4, opening_hours = '{"monday": [["08:00", "19:00"]]}'""")
    await served.cross([1])
    schemas = await described(served, stream)
    path = PATHS[stream].format(store="shop", organization="default", camera="door")
    left = set(schemas)

    async with served.listen(path, BROWSER) as follower:
        while left:
            if left.isdisjoint({"stores", "snapshot"}):  # the beginning was read
                await served.say(STATUS.model_copy(update={"at": STATUS.at + len(left)}))
                await publish(served, crossing(20 + len(left)))
                await served.show(boxes())
                await served.cross([40 + len(left)])
                await served.announce()
            event = await follower.next(*left)
            check(event, schemas[event.kind])
            left.discard(event.kind)


async def test_each_event_is_of_a_stream(served: Served) -> None:
    assert {name for stream in PATHS for name in await described(served, stream)} == set(EVENTS)
