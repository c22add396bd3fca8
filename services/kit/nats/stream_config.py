"""The contracts' stream declarations as nats-py's configuration."""

from __future__ import annotations

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from contracts.streams import Stream


def to_config(stream: Stream) -> StreamConfig:
    """A stream's configuration. `allow_direct` lets any replica of the stream answer last-by-subject reads."""
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        storage=StorageType.MEMORY if stream.in_memory else StorageType.FILE,
        retention=RetentionPolicy.WORK_QUEUE if stream.work_queue else RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW if stream.discard_new else DiscardPolicy.OLD,
        discard_new_per_subject=stream.discard_new and stream.max_per_subject > 0,
        max_age=stream.max_age,
        max_bytes=stream.max_bytes or -1,
        max_msgs_per_subject=stream.max_per_subject or -1,
        duplicate_window=min(stream.duplicate_window, stream.max_age or stream.duplicate_window),
        allow_direct=True,
        num_replicas=1,
    )
