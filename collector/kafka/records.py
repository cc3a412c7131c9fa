"""Record batches to which encoded messages are appended."""

from collections.abc import Mapping

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from collector.cloudevents import VARINTS, usual_varint, varint

_BEFORE_OFFSET = b"\0\0"
"""The attributes of a record, and by how many milliseconds its time differs from that of the batch: 0."""
_MAGIC = 2
"""The version of the format of record batches."""
CODECS: Mapping[str | None, int] = {None: 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
"""The numbers of the compressions in that format."""


class RecordBatch(BatchBuilder):  # type: ignore[misc]
    """A batch of one topic's partition, for `send_batch` of aiokafka's producer.

    Its records are encoded already. aiokafka's own builder, which it fills, then compresses the batch and writes its
    header. All records have the time of the batch.
    """

    def __init__(self, max_bytes: int, codec: int, timestamp_ms: int) -> None:
        """`codec` is one of CODECS."""
        builder = _DefaultRecordBatchBuilderPy(
            _MAGIC, codec, is_transactional=1, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=max_bytes
        )
        builder._first_timestamp = builder._max_timestamp = timestamp_ms
        self._builder = builder
        self._records: bytearray = builder._buffer
        self._max_bytes = max_bytes
        self._relative_offset = 0
        self._buffer: bytearray | None = None
        self._closed = False

    def add(self, record: bytes) -> bool:
        """Append a record, as `record_of` encodes it. Returns whether there was room; there is for the first one."""
        records, offset = self._records, usual_varint(self._relative_offset)
        rest = len(_BEFORE_OFFSET) + len(offset) + len(record)
        size = VARINTS[rest] if rest < len(VARINTS) else varint(rest)
        if self._relative_offset and len(records) + len(size) + rest > self._max_bytes:
            return False
        records += size + _BEFORE_OFFSET + offset
        records += record
        self._relative_offset += 1
        return True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        if self._buffer is None:
            self._builder._num_records = self._relative_offset
            self._builder._last_offset = self._relative_offset - 1
            self._records = bytearray()
        built: bytearray = super()._build()
        return built
