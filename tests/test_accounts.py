"""Leases and quotas, on both databases."""

import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from plusmv.core.errors import Refused
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.accounts import Lease, Quota, _started
from plusmv.curate.sources.base import QuotaSpent
from plusmv.db.models import Lease as Row
from plusmv.db.models import now


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "home")


def lease_by(catalog, workspace, holder: str, account: str = "instagram:42") -> Lease:
    lease = Lease(catalog, workspace, account)
    lease._holder = holder
    return lease


def test_one_process_at_a_time(catalog, workspace):
    host = Lease(catalog, workspace, "")._holder.split("/")[0]
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    first = lease_by(catalog, workspace, f"{host}/{other.pid}/{_started(other.pid)}")
    with first, pytest.raises(Refused, match=f"process {other.pid} on {host} is using this instagram account"):
        Lease(catalog, workspace, "instagram:42").__enter__()
    with Lease(catalog, workspace, "instagram:42"), Lease(catalog, workspace, "instagram:43"):
        pass
    first.__enter__()
    other.kill()
    other.wait()
    with Lease(catalog, workspace, "instagram:42"):  # a dead process holds nothing, whatever the clock says
        pass


def test_another_machines_lease_runs_out(catalog, workspace):
    lease_by(catalog, workspace, "elsewhere/1/2").__enter__()
    with pytest.raises(Refused):
        Lease(catalog, workspace, "instagram:42").__enter__()
    for until in (now() - timedelta(seconds=1), now() + timedelta(days=400)):  # the latter of a clock that was wrong
        with catalog.writing() as session:
            session.execute(update(Row).values(holder="elsewhere/1/2", until=until))
        with Lease(catalog, workspace, "instagram:42"):
            pass
        lease_by(catalog, workspace, "elsewhere/1/2").__enter__()


def test_a_lost_lease_is_noticed_and_names_stay_out(catalog, workspace):
    with Lease(catalog, workspace, "instagram:42") as lease:
        with catalog.writing() as session:
            lease.renew(session)
            assert "42" not in session.scalar(select(Row.name)) or len(session.scalar(select(Row.name))) == 64
            session.execute(update(Row).values(holder="elsewhere/1/2"))
        with pytest.raises(Refused, match="taken over"), catalog.writing() as session:
            lease.renew(session)


def test_a_quota_over_a_sliding_window(catalog, workspace):
    quota = Quota(catalog, workspace, "graph:1", timedelta(days=7))
    for number in range(3):
        quota.spend(f"tag {number}", 1, 3, "three")
    assert quota.has("tag 1")
    assert not quota.has("tag 9")
    with pytest.raises(QuotaSpent, match="3 are used up; three"):
        quota.spend("tag 9", 1, 3, "three")
    Quota(catalog, workspace, "graph:2", timedelta(days=7)).spend("tag 9", 1, 3, "three")
    with pytest.raises(QuotaSpent, match="never so much room"):
        quota.spend("all", 9, 3, "three")
