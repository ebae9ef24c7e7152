# SPDX-License-Identifier: MIT
"""
Perfetto's own format
---------------------

Packets of ``perfetto.protos.TracePacket``, one after another as they come, so that a
long run needs no more memory than a short one; ui.perfetto.dev opens them.  Names are
interned, times are nanoseconds, packets are in their order.

Sources: protos/perfetto/trace/trace_packet.proto and the files of track_event/ of Perfetto;
"Synthetic track events", perfetto.dev/docs/reference/synthetic-track-event.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, Final

from simulator.errors import InputError
from simulator.outputs import Kind
from simulator.trace.exchange.events import Event, Track

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket

__all__ = ("PERFETTO", "PerfettoWriter")

_SEQUENCE = 1
_TOLD_BY: Final = b"tlbsim"
#: What such a file is known by: the first packet has the first name of a group of tracks.
PERFETTO: Final = Kind(
    "a Perfetto trace of tlbsim", lambda head: head[:1] == b"\n" and _TOLD_BY in head[:64]
)
_GROUPS: Final = {
    "run": "run", "CPU": "CPUs", "task": "tasks", "lock": "locks", "counter": "counters",
}  # fmt: skip


class PerfettoWriter:
    """
    Writes events to a file; ``nr_events`` counts them.

    Raises InputError where the package ``perfetto`` is missing.
    """

    @staticmethod
    def check() -> None:
        """Raise InputError where the package is missing."""
        if find_spec("perfetto") is None:
            raise InputError("perfetto: needs perfetto; pip install 'tlbsim[perfetto]'")

    def __init__(self, file: IO[bytes]) -> None:
        self.check()
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos
        from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

        self._builder = StreamingTraceProtoBuilder(file)
        event = protos.TrackEvent
        self._kinds = {
            "begin": event.TYPE_SLICE_BEGIN,
            "end": event.TYPE_SLICE_END,
            "instant": event.TYPE_INSTANT,
            "counter": event.TYPE_COUNTER,
        }
        self._explicit = protos.TrackDescriptor.EXPLICIT
        self._needs = protos.TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
        self._tracks: dict[Track, int] = {}
        self._names: dict[str, int] = {}
        self._categories: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self.nr_events = 0
        self._first(protos.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED)

    def take(self, event: Event) -> None:
        """Write an event; they come in the order of time."""
        uuid = self._track(event.track)
        packet = self._packet(event.ns)
        told = packet.track_event
        told.type = self._kinds[event.kind]
        told.track_uuid = uuid
        if event.kind == "counter":
            value = event.args["value"]
            if isinstance(value, float):
                told.double_counter_value = value
            else:
                told.counter_value = int(value)
        elif event.kind != "end":
            interned = packet.interned_data
            told.name_iid = _intern(self._names, event.name, interned.event_names)
            category = _intern(self._categories, event.what, interned.event_categories)
            told.category_iids.append(category)
            for key, value in event.args.items():
                self._annotate(told.debug_annotations.add(), key, value, interned)
            if event.flow >= 0:
                flows = told.terminating_flow_ids if event.flow_ends else told.flow_ids
                flows.append(event.flow)
        self._builder.write_packet(packet)
        self.nr_events += 1

    def _annotate(self, annotation: Any, key: str, value: object, interned: Any) -> None:
        annotation.name_iid = _intern(self._keys, key, interned.debug_annotation_names)
        if isinstance(value, str):
            texts = interned.debug_annotation_string_values
            iid = self._texts.get(value)
            if iid is None:
                iid = self._texts[value] = len(self._texts) + 1
                entry = texts.add()
                entry.iid, entry.str = iid, value.encode()
            annotation.string_value_iid = iid
        elif isinstance(value, float):
            annotation.double_value = value
        else:
            annotation.int_value = value

    # --- tracks ---------------------------------------------------------------------------

    def _first(self, cleared: int) -> None:
        packet = self._packet(0)
        packet.sequence_flags = cleared
        packet.first_packet_on_sequence = True
        packet.track_descriptor.uuid = 1
        packet.track_descriptor.name = _TOLD_BY.decode()
        packet.track_descriptor.child_ordering = self._explicit
        self._builder.write_packet(packet)
        self._groups: dict[str, int] = {}
        for rank, (group, name) in enumerate(_GROUPS.items()):
            self._groups[group] = 2 + rank
            self._describe(2 + rank, 1, name, rank)
        self._next = 2 + len(_GROUPS)

    def _describe(self, uuid: int, parent: int, name: str, rank: int, counts: bool = False) -> None:
        packet = self._packet(0)
        described = packet.track_descriptor
        described.uuid, described.parent_uuid, described.name = uuid, parent, name
        described.sibling_order_rank = rank
        described.child_ordering = self._explicit
        if counts:
            described.counter.unit_name = "1/s" if "/s" in name else "count"
        # It has no time: a track may be described when it is first used.
        packet.ClearField("timestamp")
        self._builder.write_packet(packet)

    def _track(self, track: Track) -> int:
        uuid = self._tracks.get(track)
        if uuid is not None:
            return uuid
        if track.part:
            parent, name = self._track(track._replace(part="")), track.part
        else:
            parent, name = self._groups[track.group], track.name
        uuid = self._tracks[track] = self._next
        self._next += 1
        number = re.search(r"\d+", name)
        rank = int(number[0]) if number else uuid
        self._describe(uuid, parent, name, rank, counts=track.group == "counter")
        return uuid

    def _packet(self, ns: int) -> TracePacket:
        packet = self._builder.create_packet()
        packet.timestamp = ns
        packet.trusted_packet_sequence_id = _SEQUENCE
        packet.sequence_flags = self._needs
        return packet


def _intern(known: dict[str, int], text: str, entries: Any) -> int:
    iid = known.get(text)
    if iid is None:
        iid = known[text] = len(known) + 1
        entry = entries.add()
        entry.iid, entry.name = iid, text
    return iid
