"""What makes a killed run safe to run again, and somebody else's files safe from any run.

`atomic` writes whole or not at all; `hashing` knows a file by its bytes and hashes nothing unchanged twice;
`record` reads what a stage noted; `guard` keeps a stage away from what is not its own; `owner` gives an
output one owner at a time; `stage` puts them together.
"""

from abaw_submit.store.atomic import RECORDED, atomic_path, remove_leftovers, write_json, write_text
from abaw_submit.store.guard import read_mark, refuse_foreign_file, refuse_foreign_text, refuse_overlap
from abaw_submit.store.hashing import fingerprint, read_sha256, sha256_file
from abaw_submit.store.identity import changed_outputs, identify, refuse_changed
from abaw_submit.store.owner import Owner
from abaw_submit.store.record import RECORD_NAME, machine, peak_memory_mib, read_record, record_path
from abaw_submit.store.stage import Stage
from abaw_submit.store.versions import VERSIONS, version_of

__all__ = [
    "RECORDED",
    "RECORD_NAME",
    "VERSIONS",
    "Owner",
    "Stage",
    "atomic_path",
    "changed_outputs",
    "fingerprint",
    "identify",
    "machine",
    "peak_memory_mib",
    "read_mark",
    "read_record",
    "read_sha256",
    "record_path",
    "refuse_changed",
    "refuse_foreign_file",
    "refuse_foreign_text",
    "refuse_overlap",
    "remove_leftovers",
    "sha256_file",
    "version_of",
    "write_json",
    "write_text",
]
