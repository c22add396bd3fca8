"""What the API's description says of the live streams."""

from __future__ import annotations

STORE = """
A server-sent event stream. `snapshot` comes first and holds everything; then what changes:

- `counts`: the store's totals after a commit; the event's `id` is the store's version,
- `status`: how a camera does, as one service sees it,
- `tracks`: the people that are tracked in a frame, at most 10 a second for each camera,
- `snapshot` again at the store's midnight, at the reset of its occupancy and when its configuration changes,
- `heartbeat`: every few seconds.

All of them are absolute: a newer one takes the place of an older one, and a slow reader skips.
"""

ORGANIZATION = """
A server-sent event stream of all stores of an organization that you may see. `stores` comes first and says which these
are; then a `snapshot` of each, and what changes in any of them:

- `counts`: a store's totals after a commit; `store` says whose, and the event's `id` is that store's version,
- `status`: how a camera of a store does, as one service sees it,
- `snapshot` of a store again at its midnight, at the reset of its occupancy and when its configuration changes,
- `stores` again when there are others: a new one's `snapshot` follows, and what is no more among them is over,
- `heartbeat`: every few seconds.

All of them are absolute: a newer one takes the place of an older one of the same store, and a slow reader skips. The
boxes of people are in the streams of stores and cameras.
"""

TRACKS = """
A server-sent event stream of what is tracked in the camera's pictures:

- `tracks`: the people of one frame, with the numbers of their tracks and their boxes in pixels of a picture that is
  `width` by `height`; at most 10 a second,
- `heartbeat`: every few seconds.

There is nothing to come back to: each frame takes the place of the one before, and a slow reader skips.
"""

LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Browsers send it when they come back. It is not needed: the snapshot holds all that they missed.",
}

_COUNTS = '"store":"shop","revision":18,"day":"2026-11-23","in":12,"out":9,"inside":3'
_HEARTBEAT = """\
event: heartbeat
data: {"now":1795422005000000000,"bus":true}

"""

STORE_EXAMPLE = f"""\
retry: 1000
event: snapshot
id: 17
data: {{"now":1795422000000000000,"store":{{"id":"shop","name":"Main street", …}}}}

event: counts
id: 18
data: {{"version":1,"run":"live",{_COUNTS},"lines":[…]}}

{_HEARTBEAT}"""

ORGANIZATION_EXAMPLE = f"""\
retry: 1000
event: stores
data: {{"now":1795422000000000000,"organization":"acme","stores":["mall","shop"]}}

event: snapshot
id: 340
data: {{"now":1795422000000000000,"store":{{"id":"mall","name":"Mall", …}}}}

event: snapshot
id: 17
data: {{"now":1795422000000000000,"store":{{"id":"shop","name":"Main street", …}}}}

event: counts
id: 18
data: {{"version":1,"run":"live",{_COUNTS},"lines":[…]}}

{_HEARTBEAT}"""

TRACKS_EXAMPLE = f"""\
retry: 1000
event: tracks
data: {{"version":1,"run":"live","store":"shop","camera":"door","session":"…","seq":412,\
"captured_at":1795422000250000000,"width":960,"height":540,"tracks":[{{"track":7,"box":[410.5,120.0,470.25,300.0],"score":0.91}}]}}

{_HEARTBEAT}"""
