"""`automations key`: the first key of an installation, and what an operator sees of the others."""

import re
from pathlib import Path

import pytest

from automations.access.keys import KEY
from automations.database import DedicatedConnection
from tests.harness import GraphQLError, eventually, running
from tests.test_cli import Done, automations, complaint


async def keys(database_url: str, *arguments: str) -> Done:
    """`automations key` over this database."""
    return await automations("key", *arguments, database_url=database_url)


async def test_first_key_is_made_used_and_revoked(empty_database_url: str, tmp_path: Path) -> None:
    made = await keys(empty_database_url, "create", "first", "--role", "admin", "--all-tenants")
    assert made.code == 0
    assert KEY.fullmatch(made.out.strip())
    [key_id] = re.findall(r"^Key (\S+), which is shown this once:$", made.err, re.MULTILINE)
    async with running(empty_database_url, tmp_path, auth="on") as server:
        api = server.with_key(made.out.strip())
        await api.write("create_tenant", name="second")
        second = await keys(
            empty_database_url, "create", "ci", "--role", "viewer", "--tenant", "second", "--expires-in", "90d"
        )
        [tenant] = (await server.with_key(second.out.strip()).execute("{ tenant { slug } }"))["tenant"]
        assert tenant == {"slug": "second"}

        listed = await keys(empty_database_url, "list")
        head, *lines = listed.out.splitlines()
        assert head.split() == ["ID", "TENANT", "NAME", "ROLE", "BEGINS", "EXPIRES", "LAST", "USED"]
        assert [line.split()[1:4] for line in lines] == [["(all)", "first", "admin"], ["second", "ci", "viewer"]]
        assert made.out.strip() not in listed.out

        revoked = await keys(empty_database_url, "revoke", key_id)
        assert (revoked.code, revoked.out) == (0, "first is revoked\n")

        async def is_refused() -> bool:
            try:
                await api.execute("{ hello }")
            except GraphQLError as error:
                return bool(error.code == "UNAUTHENTICATED")
            return False

        await eventually(is_refused)
    assert len((await keys(empty_database_url, "list")).out.splitlines()) == 2


async def test_commands_are_noted(database_url: str, connection: DedicatedConnection) -> None:
    await keys(database_url, "create", "ci", "--role", "agent", "--reads-secrets")
    [row] = await connection.fetch("SELECT * FROM automations.audit_event")
    assert (row["actor"], row["operation"], row["table_name"]) == ("command line", "key create", "api_key")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", " ", "--role", "viewer"), "name must have"),
        (("create", "x", "--role", "viewer", "--tenant", "nowhere"), "There is no tenant with the slug 'nowhere'."),
        (("create", "x", "--role", "viewer", "--expires-in", "soon"), "--expires-in takes hours or days"),
        (("create", "x", "--role", "viewer", "--reads-secrets"), "reads_secrets is for keys with the role agent."),
        (("revoke", "nonsense"), "There is no key 'nonsense'"),
    ],
)
async def test_what_cannot_be_done_is_one_line(database_url: str, arguments: tuple[str, ...], message: str) -> None:
    done = await keys(database_url, *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in complaint(done)
