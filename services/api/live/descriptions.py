"""Texts and examples of the live streams in the OpenAPI document."""

from __future__ import annotations

STORE = """
A server-sent event stream. The first event is `snapshot`, which contains everything; then changes follow:

- `counts`: the store's totals after a commit; the event's `id` is the store's version,
- `status`: the status of a camera, from one service,
- `crossing`: a person crossed a line: as soon as it was decided, before it is counted, and at most once,
- `tracks`: the tracked people in a frame, at most 10 a second for each camera,
- `snapshot` again at the store's midnight, at the reset of its occupancy, when it opens or closes and when its
  configuration changes,
- `heartbeat`: every few seconds.

Each event but `crossing` is absolute: it replaces older ones of its kind, and a slow reader skips those. A crossing is
for display: add nothing up, `counts` follows.
"""

ORGANIZATION = """
A server-sent event stream of all stores of an organization that you may see. The first event is `stores`, which lists
them; then comes a `snapshot` of each, and changes follow:

- `counts`: the totals of the store `store` after a commit; the event's `id` is that store's version,
- `status`: the status of a camera, from one service,
- `crossing`: a person crossed a line: as soon as it was decided, before it is counted, and at most once,
- `snapshot` of a store again at its midnight, at the reset of its occupancy, when it opens or closes and when its
  configuration changes,
- `stores` again when the list changes: a `snapshot` of each new store follows, and missing stores can be forgotten,
- `heartbeat`: every few seconds.

Each event but `crossing` is absolute: it replaces older ones of its kind and store, and a slow reader skips those. A
crossing is for display: add nothing up, `counts` follows. Tracks are in the streams of stores and cameras.
"""

TRACKS = """
A server-sent event stream of the tracks in a camera's frames:

- `tracks`: the people in one frame, with the ids of their tracks and their boxes in pixels of a frame of `width` by
  `height`; at most 10 a second,
- `heartbeat`: every few seconds.

A stream cannot be resumed: each frame replaces the one before, and a slow reader skips frames.
"""

LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Browsers send it when they reconnect. It is ignored: the snapshot contains everything.",
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
