"""Metrics of persistence.

- `metrica_persistence_crossings_total`: crossings written, each once.
- `metrica_persistence_duplicates_total`: redelivered crossings that were already stored: normal after an outage.
- `metrica_persistence_dead_letters_total`: messages that cannot be stored, by reason: `malformed` or `refused`.
- `metrica_persistence_batch_seconds`: a batch from its last message to its commit, outages included.
- `metrica_persistence_lag_messages`: messages waiting in the stream when the last batch was read.
- `metrica_persistence_delay_seconds`: from a message's arrival in the stream to its commit.
- `metrica_persistence_purged_total`: crossings removed because they were older than their organization keeps.
- `metrica_persistence_database_up`: 0 while the database cannot be written.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120)

CROSSINGS = Counter("metrica_persistence_crossings_total", "Crossings written")
DUPLICATES = Counter("metrica_persistence_duplicates_total", "Crossings that were already in")
DEAD_LETTERS = Counter("metrica_persistence_dead_letters_total", "Messages that cannot be stored", ["why"])
BATCH_SECONDS = Histogram("metrica_persistence_batch_seconds", "From a batch's reading to its commit", buckets=_SECONDS)
LAG = Gauge("metrica_persistence_lag_messages", "Messages waiting in the stream behind the last batch")
DELAY = Histogram("metrica_persistence_delay_seconds", "From the stream to the commit", buckets=_SECONDS)
PURGED = Counter("metrica_persistence_purged_total", "Crossings removed because of their age")
DATABASE_UP = Gauge("metrica_persistence_database_up", "Whether the database can be written")
