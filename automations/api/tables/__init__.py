"""What can be read, one declaration a table: its columns, its relations, and who may see its rows.

The GraphQL types, the filters and the SQL all follow from here. Rows are always those of the caller's tenant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from automations.api.tables.access import ACCESS
from automations.api.tables.declaration import Column, Relation, Table
from automations.api.tables.definitions import DEFINITIONS
from automations.api.tables.ledger import LEDGER
from automations.api.tables.watched import WATCHED

__all__ = ["BY_NAME", "EVERY_TENANT", "FOR_VIEWERS", "TABLES", "Column", "Relation", "Table"]

TABLES: Sequence[Table] = (*WATCHED, *DEFINITIONS, *LEDGER, *ACCESS)

FOR_VIEWERS: Mapping[str, str] = {
    "automations.action": "automations.action_for_viewers",
    "automations.automation_step": "automations.automation_step_for_viewers",
}
"""What is read in place of these rows by roles that may not change them: the same without credentials."""

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}

EVERY_TENANT = replace(BY_NAME["tenant"], source="automations.every_tenant($1)", tenant_column="speaker_id")
"""The table `tenant` as a key for all tenants reads it; what hangs on the rows is of the tenant that it speaks for."""
