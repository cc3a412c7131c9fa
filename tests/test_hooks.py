"""What collector/kafka/hooks.py relies on in aiokafka and needs no broker; and that no other module does so."""

import ast
import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from collector.kafka.hooks import set_levels
from collector.kafka.producer import LEVELS

KAFKA = Path(__file__).parents[1] / "collector" / "kafka"
DOCUMENTED = {
    "aiokafka",
    "aiokafka.abc",
    "aiokafka.admin",
    "aiokafka.admin.config_resource",
    "aiokafka.coordinator.assignors.sticky.sticky_assignor",
    "aiokafka.coordinator.protocol",  # for the type of what an assignor returns
    "aiokafka.errors",
    "aiokafka.partitioner",
    "aiokafka.producer.message_accumulator",  # for the type of what create_batch() returns
    "aiokafka.structs",
}
HEADER_BYTES = 61
"""Of a record batch; the records after it are compressed."""
VALUE = b" ".join(str(number * number).encode() for number in range(5_000))


def batch(codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=256 << 10
    )
    builder.append(0, 0, None, VALUE, [])
    return bytes(builder.build())


def compressed_lz4(records: bytes, level: int) -> bytes:
    compressor = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
    compressor.compress(records)
    return bytes(compressor.finish())


def compressed_zstd(records: bytes, level: int) -> bytes:
    return bytes(cramjam.zstd.compress(records, level=level))


def compressed_gzip(records: bytes, level: int) -> bytes:
    return gzip.compress(records, level, mtime=0)[10:]  # without the header, which has the time and the level


@pytest.mark.parametrize(
    ("name", "number", "compress", "other_level", "header"),
    [
        ("lz4", DefaultRecordBatch.CODEC_LZ4, compressed_lz4, 9, 0),
        ("zstd", DefaultRecordBatch.CODEC_ZSTD, compressed_zstd, 3, 0),
        ("gzip", DefaultRecordBatch.CODEC_GZIP, compressed_gzip, 9, 10),
    ],
)
def test_batches_are_compressed_at_the_level_that_is_set(
    name: str, number: int, compress: Callable[[bytes, int], bytes], other_level: int, header: int
) -> None:
    records, level = batch(DefaultRecordBatch.CODEC_NONE)[HEADER_BYTES:], LEVELS[name]
    assert compress(records, level) != compress(records, other_level)
    assert compress(records, level) == batch(number)[HEADER_BYTES + header :]
    set_levels(**LEVELS | {name: other_level})  # the default of aiokafka
    try:
        assert compress(records, other_level) == batch(number)[HEADER_BYTES + header :]
    finally:
        set_levels(**LEVELS)


def modules() -> list[Path]:
    return [path for path in sorted(KAFKA.rglob("*.py")) if path.name not in ("hooks.py", "records.py")]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_no_other_module_uses_a_private_name_of_aiokafka(path: Path) -> None:
    """Ruff (SLF001) finds private names of other objects. It does not find those that a subclass inherits."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)

    assert not re.search(r"noqa:.*SLF001", text)
    assert [] == sorted(inherited_private_names(tree))
    imported = {name for name in imports(tree) if name.partition(".")[0] == "aiokafka"}
    if path.name == "requests.py":
        imported = {name for name in imported if not name.startswith("aiokafka.protocol.")}
    assert set() == imported - DOCUMENTED


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def inherited_private_names(tree: ast.AST) -> Iterator[str]:
    """`self._name` in classes, for each name that the class itself does not assign or define."""
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        own = {node.name for node in owner.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        used = set[str]()
        for node in ast.walk(owner):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                (own if isinstance(node.ctx, ast.Store) else used).add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                own.add(node.target.id)
        yield from (f"{owner.name}.{name}" for name in used - own if name.startswith("_"))
