"""The catalog's hashes as an index to search: hashes.bin (duplicates.hash_store), brought up to date with its rows."""

from collections.abc import Callable

from sqlalchemy import select

from plusmv.core.locks import one_change
from plusmv.core.workspace import Workspace
from plusmv.curate.duplicates.candidates import HashIndex
from plusmv.curate.duplicates.fingerprint import VERSION, Fingerprint
from plusmv.curate.duplicates.hamming_search import Engine
from plusmv.curate.duplicates.hash_store import Row, open_array
from plusmv.db.models import Clip, FileState
from plusmv.db.models import Fingerprint as FingerprintRow
from plusmv.db.session import Catalog


def hash_index(
    catalog: Catalog, workspace: Workspace, engine: Engine = "numpy", say: Callable[[str], None] = lambda message: None
) -> tuple[HashIndex, dict[int, str]]:
    """The index of all fingerprinted clips, brought up to date with the catalog, and {clip id: sha256}."""
    statement = (
        select(FingerprintRow.id, Clip.sha256, Clip.id)
        .join(Clip, Clip.id == FingerprintRow.clip_id)
        .where(FingerprintRow.version == VERSION, FingerprintRow.state == FileState.DONE)
        .order_by(FingerprintRow.id)
    )
    with one_change(workspace.home), catalog.reading() as session:
        rows: list[Row] = [(row_id, sha256, clip_id) for row_id, sha256, clip_id in session.execute(statement)]

        def load(row_id: int) -> Fingerprint:
            arrays = session.scalar(select(FingerprintRow.arrays).where(FingerprintRow.id == row_id))
            return Fingerprint.from_bytes(arrays or b"")

        array = open_array(workspace.home / "hashes.bin", lambda: rows, load, say)
    return HashIndex(array, engine), {clip_id: sha256 for _, sha256, clip_id in rows}
