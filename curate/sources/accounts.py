"""Accounts: one process at a time uses one (a lease in the catalog), and calls that official APIs count are counted.

A lease of a process that is dead on this machine is free at once; one of another machine once it has run out. Whether a
process lives is asked of the system, not of the clock, so a clock that jumps frees nothing here.
"""

import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Row, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from plusmv.core.errors import Refused
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.base import QuotaSpent
from plusmv.db.models import Lease as LeaseRow
from plusmv.db.models import QuotaUse, now
from plusmv.db.session import Catalog

LEASE = timedelta(minutes=90)  # longer than any wait that a platform may ask for; renewed with each page


class Lease:
    """`with Lease(catalog, workspace, account):` no other process uses the account meanwhile. "" leases nothing.

    Raises Refused where another process has it.
    """

    def __init__(self, catalog: Catalog, workspace: Workspace, account: str):
        self._catalog, self._holder = catalog, _this_process()
        self._name = workspace.keyed_hash(f"account:{account}") if account else None
        self._account = account.partition(":")[0]

    def __enter__(self) -> "Lease":
        if self._name is not None:
            try:
                self._take()
            except IntegrityError:  # two began at the same moment; the second look finds the first
                self._take()
        return self

    def __exit__(self, *_) -> None:
        if self._name is not None:
            with self._catalog.writing() as session:
                row = session.get(LeaseRow, self._name)
                if row is not None and row.holder == self._holder:
                    session.delete(row)

    def renew(self, session: Session) -> None:
        """Hold it longer, in the transaction of a page. Raises Refused where it was lost."""
        if self._name is None:
            return
        row = session.get(LeaseRow, self._name)
        if row is None or row.holder != self._holder:
            raise Refused(f"another process has taken over the {self._account} account; end one of the two")
        row.until = now() + LEASE

    def _take(self) -> None:
        with self._catalog.writing() as session:
            row = session.get(LeaseRow, self._name, with_for_update=True)
            if row is None:
                session.add(LeaseRow(name=self._name, holder=self._holder, until=now() + LEASE))
                return
            if row.holder != self._holder and _holds(row):
                where = row.holder.split("/")
                raise Refused(
                    f"process {where[1]} on {where[0]} is using this {self._account} account; "
                    "wait until it is done, or use another account"
                )
            row.holder, row.until = self._holder, now() + LEASE


class Quota:
    """What one key of an official API has used, counted in the catalog over a sliding window."""

    def __init__(self, catalog: Catalog, workspace: Workspace, account: str, window: timedelta):
        self._catalog, self._window = catalog, window
        self._account = workspace.keyed_hash(f"account:{account}")

    def spend(self, what: str, cost: int, limit: int, advice: str) -> None:
        """Count a call before it is made. Raises QuotaSpent, saying when there is room again."""
        with self._catalog.writing() as session:
            since = now() - self._window
            uses = select(QuotaUse.used_at, QuotaUse.cost).where(
                QuotaUse.account == self._account, QuotaUse.used_at > since
            )
            rows = session.execute(uses.order_by(QuotaUse.used_at)).all()
            if sum(row.cost for row in rows) + cost > limit:
                raise QuotaSpent(f"{limit} are used up; {advice} ({_room(rows, cost, limit, self._window)})")
            session.add(QuotaUse(account=self._account, what=what[:200], cost=cost))

    def has(self, what: str) -> bool:
        """Whether a call for this was counted within the window."""
        with self._catalog.reading() as session:
            found = select(func.count()).where(
                QuotaUse.account == self._account, QuotaUse.what == what[:200], QuotaUse.used_at > now() - self._window
            )
            return bool(session.scalar(found))


def _room(rows: Sequence[Row[datetime, int]], cost: int, limit: int, window: timedelta) -> str:
    used = sum(row.cost for row in rows)
    for row in rows:
        used -= row.cost
        if used + cost <= limit:
            return f"there is room again after {row.used_at + window:%Y-%m-%d %H:%M} UTC"
    return "there is never so much room"


def _this_process() -> str:
    return f"{socket.gethostname()[:100]}/{os.getpid()}/{_started(os.getpid())}"


def _holds(row: LeaseRow) -> bool:
    host, pid, started = row.holder.rsplit("/", 2)
    if host != socket.gethostname()[:100]:
        return _later(row.until)
    return _started(int(pid)) == started


def _later(moment: datetime) -> bool:
    """Not yet over, and not absurdly far away, as a clock that was wrong would leave it."""
    return timedelta(0) < moment - now() <= 2 * LEASE


def _started(pid: int) -> str:
    """When a process started, as the system tells it apart from a later one of the same id; "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "" if Path("/proc/self").exists() else "unknown"
