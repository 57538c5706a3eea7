"""API keys over the API: made, listed, revoked, and what they say of themselves."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.harness import Automations, GraphQLError

INFO = "{ auth_info { tenant_id role name key_id all_tenants reads_secrets expires_at } }"


async def refused(api: Automations, code: str, **input_: Any) -> str:
    """The message with which a key is refused to be made."""
    with pytest.raises(GraphQLError) as caught:
        await api.write("create_api_key", "key", **{"name": "x", "role": "viewer", **input_})
    assert caught.value.code == code
    return str(caught.value)


async def test_key_is_shown_once_and_listed_without_it(guarded: Automations) -> None:
    made = await guarded.write("create_api_key", "id key", name="ci", role="editor")
    columns = "id name role beginning all_tenants reads_secrets expires_at last_used_at"
    rows = await guarded.execute(f"{{ api_key(order_by: {{name: asc}}) {{ {columns} }} }}")
    assert [row["name"] for row in rows["api_key"]] == ["admin", "ci"]
    ci = rows["api_key"][1]
    assert made["key"].startswith(f"{ci.pop('beginning')}_")
    assert ci == {
        "id": made["id"],
        "name": "ci",
        "role": "editor",
        "all_tenants": False,
        "reads_secrets": False,
        "expires_at": None,
        "last_used_at": None,
    }
    assert rows["api_key"][0]["last_used_at"] is not None


async def test_key_says_what_it_is(guarded: Automations) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = await guarded.write(
        "create_api_key", "id key", name="runs", role="agent", expires_at=later, reads_secrets=True
    )
    own = (await guarded.execute(INFO))["auth_info"]
    info = (await guarded.with_key(made["key"]).execute(INFO))["auth_info"]
    assert info == {
        "tenant_id": own["tenant_id"],
        "role": "agent",
        "name": "runs",
        "key_id": made["id"],
        "all_tenants": False,
        "reads_secrets": True,
        "expires_at": later,
    }


TENANTS = "{ auth_info { tenant_id tenants { id name slug } } }"


async def test_key_of_one_tenant_says_so(guarded: Automations) -> None:
    info = (await guarded.execute(TENANTS))["auth_info"]
    assert [tenant["id"] for tenant in info["tenants"]] == [info["tenant_id"]]


async def test_who_may_speak_for_all_tenants_is_told_them_by_name(api: Automations) -> None:
    last = await api.write("create_tenant", name="zebra")
    first = await api.write("create_tenant", name="Aardvark")
    told = (await api.execute(TENANTS))["auth_info"]["tenants"]
    assert {"id": first["id"], "name": "Aardvark", "slug": "aardvark"} in told
    assert {"id": last["id"], "name": "zebra", "slug": "zebra"} in told
    names = [tenant["name"] for tenant in told]
    assert names.index("Aardvark") < names.index("zebra"), "whatever the case"


async def test_without_keys_everybody_is_an_admin(api: Automations) -> None:
    info = (await api.execute(INFO))["auth_info"]
    assert info == {
        "tenant_id": api.headers["X-PREFECT-TENANT-ID"],
        "role": "admin",
        "name": "unauthenticated",
        "key_id": None,
        "all_tenants": True,
        "reads_secrets": False,
        "expires_at": None,
    }


async def test_key_that_is_sent_where_none_is_needed_does_no_harm(api: Automations) -> None:
    assert await api.with_key("nonsense").execute("{ hello }")


async def test_repeated_call_makes_no_second_key(guarded: Automations) -> None:
    made = await guarded.write("create_api_key", "id", name="ci", role="viewer")
    assert "There is an API key 'ci' already" in await refused(guarded, "CONFLICT", name="ci", role="admin")
    await guarded.write("delete_api_key", "success", key_id=made["id"])
    assert (await guarded.write("create_api_key", "id", name="ci", role="viewer"))["id"] != made["id"]


@pytest.mark.parametrize(
    ("input_", "message"),
    [
        ({"name": " "}, "1 to 200 characters"),
        ({"name": "x" * 201}, "1 to 200 characters"),
        ({"name": "a\nb"}, "control characters"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "in the future"),
        ({"reads_secrets": True}, "role agent"),
        ({"role": "owner"}, "owner"),
        ({"role": "ADMIN"}, "ADMIN"),
    ],
)
async def test_wrong_input_is_refused_and_makes_no_key(
    guarded: Automations, input_: dict[str, Any], message: str
) -> None:
    assert message in await refused(guarded, "BAD_USER_INPUT", **input_)
    assert len((await guarded.execute("{ api_key { id } }"))["api_key"]) == 1


async def test_admin_of_one_tenant_gives_nothing_beyond_it(guarded: Automations, guarded_server: Automations) -> None:
    theirs = (await guarded_server.write("create_tenant", name="beyond"))["id"]
    assert "for all tenants only" in await refused(guarded, "FORBIDDEN", tenant_id=theirs)
    assert "for all tenants only" in await refused(guarded, "FORBIDDEN", all_tenants=True)
    with pytest.raises(GraphQLError, match="needs a key for all tenants") as caught:
        await guarded.write("create_tenant", name="mine")
    assert caught.value.code == "FORBIDDEN"


async def test_admin_of_one_tenant_cannot_revoke_a_key_for_all(
    guarded: Automations, guarded_server: Automations
) -> None:
    own = (await guarded.execute(INFO))["auth_info"]["tenant_id"]
    wide = await guarded_server.write(
        "create_api_key", "id key", name="wide", role="viewer", tenant_id=own, all_tenants=True
    )
    with pytest.raises(GraphQLError) as caught:
        await guarded.write("delete_api_key", "success", key_id=wide["id"])
    assert caught.value.code == "FORBIDDEN"
    assert await guarded.with_key(wide["key"]).execute("{ hello }")
    await guarded_server.as_tenant(own).write("delete_api_key", "success", key_id=wide["id"])
    with pytest.raises(GraphQLError, match="Send a valid API key"):
        await guarded.with_key(wide["key"]).execute("{ hello }")


async def test_key_for_a_tenant_that_does_not_exist_is_refused(guarded_server: Automations) -> None:
    nowhere = "00000000-0000-0000-0000-00000000000a"
    assert nowhere in await refused(guarded_server, "BAD_USER_INPUT", tenant_id=nowhere)


async def test_unknown_or_revoked_key_cannot_be_revoked(guarded: Automations) -> None:
    made = await guarded.write("create_api_key", "id", name="ci", role="viewer")
    await guarded.write("delete_api_key", "success", key_id=made["id"])
    for key_id in (made["id"], "00000000-0000-0000-0000-00000000000a"):
        with pytest.raises(GraphQLError, match=f"There is no API key {key_id}"):
            await guarded.write("delete_api_key", "success", key_id=key_id)


async def test_api_tells_what_answers(api: Automations) -> None:
    data = await api.execute("{ api { backend mode version core_version release_timestamp } }")
    assert data["api"].pop("version")
    assert data["api"] == {"backend": "SERVER", "mode": "normal", "core_version": "1.4.1", "release_timestamp": None}


async def test_reference_data_has_every_state_with_its_descendants(api: Automations) -> None:
    data = (await api.execute("{ reference_data { state_hierarchy state_info } }"))["reference_data"]
    assert data["state_hierarchy"]["Failed"] == ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed"]
    assert data["state_hierarchy"]["Scheduled"] == ["Scheduled", "Paused", "Resume", "Retrying"]
    assert set(data["state_hierarchy"]["State"]) == set(data["state_info"])
    assert data["state_info"]["Success"] == {"color": "#28a745"}


async def test_key_for_all_tenants_lists_them_and_the_one_it_speaks_for_first(
    guarded_server: Automations, guarded: Automations
) -> None:
    """So that clients find a tenant by its slug and switch to it; no other key learns that it is there."""
    slug = f"a-{uuid4().hex}"
    made = (await guarded_server.write("create_tenant", name="beside", slug=slug))["id"]
    await guarded_server.as_tenant(made).write("create_project", name="theirs")
    by_slug = f'{{ tenant(where: {{slug: {{_eq: "{slug}"}}}}) {{ id projects {{ name }} }} }}'
    assert (await guarded_server.execute(by_slug))["tenant"] == [{"id": made, "projects": []}]
    assert (await guarded.execute(by_slug))["tenant"] == []
    there = guarded_server.as_tenant(made)
    assert (await there.execute(by_slug))["tenant"] == [{"id": made, "projects": [{"name": "theirs"}]}]
    for api, own in ((there, made), (guarded_server, (await guarded_server.execute(INFO))["auth_info"]["tenant_id"])):
        rows = await api.execute("{ tenant(limit: 1000) { id } tenant_aggregate { aggregate { count } } }")
        assert rows["tenant"][0]["id"] == own
        assert len(rows["tenant"]) == rows["tenant_aggregate"]["aggregate"]["count"] > 2
        assert (await api.execute(f'{{ tenant_by_pk(id: "{made}") {{ slug }} }}'))["tenant_by_pk"] == {"slug": slug}
    assert len((await guarded.execute("{ tenant { id } }"))["tenant"]) == 1
