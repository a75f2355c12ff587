"""The file of samples: what is read is what was written, or it is said."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigsa.errors import FileError
from rigsa.files import whole_file

if TYPE_CHECKING:
    import pandas
    import pyarrow

# Parquet's own checksums are of the pages alone; names, types and counts stand outside of them.
HASH = b"rigsa_sha256"


def write_samples(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes the rows as Parquet with a hash of the whole table in its metadata."""
    import pandas
    import pyarrow
    import pyarrow.parquet

    frame = pandas.DataFrame(list(rows))
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({HASH: _hash(table)})
    with whole_file(path) as partial:
        pyarrow.parquet.write_table(table, partial, write_page_checksum=True)


def read_samples(path: Path) -> "pandas.DataFrame":
    """All columns of the file. Raises FileError where it is missing or any bit has changed."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, page_checksum_verification=True)
        intact = (table.schema.metadata or {}).get(HASH) == _hash(table).encode()
        reason = "its checksum is another"
    except FileNotFoundError:
        raise FileError(f"{path} is missing; the step that makes it has not run.") from None
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        intact, reason = False, str(error).splitlines()[0]
    if not intact:
        raise FileError(
            f"{path} is not the file of samples that was written ({reason}); delete it, and the "
            "next run makes it again."
        )
    return table.to_pandas()


def _hash(table: "pyarrow.Table") -> str:
    content = [
        [field.name, str(field.type), field.nullable, column.to_pylist()]
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
