"""Pulls the demonstration's commissions with the client that openapi-python-client makes of the document."""

import os

from stape_client import AuthenticatedClient
from stape_client.api.commissions import list_commissions
from stape_client.models import CommissionList, CommissionStatus
from stape_client.types import UNSET

client = AuthenticatedClient(base_url=os.environ["STAPE_URL"], token=os.environ["STAPE_KEY"])
rows, cursor = [], UNSET
while cursor is not None:
    page = list_commissions.sync(client=client, limit=100, status=[CommissionStatus.PAID], cursor=cursor)
    assert isinstance(page, CommissionList), page
    rows.extend(page.data)
    cursor = page.next_cursor
assert rows and all(row.status is CommissionStatus.PAID for row in rows)
print(f"ok: {len(rows)} paid commissions, the latest {rows[0].net.amount} {rows[0].net.currency}")
