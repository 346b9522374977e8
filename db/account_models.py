"""The catalog's tables of accounts: who uses one now, and what of its quota is spent. `db.models` names these too."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from plusmv.db.base import Base, Id, now
from plusmv.db.people import holds


class Lease(Base):
    """One process at a time uses an account. `name` is a keyed hash: no account's name enters the catalog."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(64), primary_key=True, info=holds("nothing"))
    holder: Mapped[str] = mapped_column(String(200), info=holds("nothing"))  # host, process id and its start
    until: Mapped[datetime]


class QuotaUse(Base):
    """A call to an official API that its quota counts: of which account (a keyed hash), for what, at what cost."""

    __tablename__ = "quota_uses"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account: Mapped[str] = mapped_column(String(64), index=True, info=holds("nothing"))
    what: Mapped[str] = mapped_column(String(200), info=holds("nothing"))
    cost: Mapped[int]
    used_at: Mapped[datetime] = mapped_column(default=now)
