"""The commands and the client on a server that asks for keys."""

import pytest

from automations.client import ApiError, AsyncAutomationsClient
from tests.files.conftest import Run
from tests.harness import Automations

STOP = "automations: [{name: Stop, when: {flow_run_state_changed: {states: Failed}}, then: [{cancel_flow_run: {}}]}]"


async def key(guarded: Automations, role: str) -> str:
    """A new key of a role, of the test's tenant."""
    return str((await guarded.write("create_api_key", "key", name=f"{role} of files", role=role))["key"])


async def test_editor_applies_and_viewer_exports(
    guarded: Automations, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMATIONS_URL", guarded.url)
    monkeypatch.delenv("AUTOMATIONS_TENANT_ID")
    nobody = await run("diff", files=[STOP])
    assert nobody.code == 2
    assert nobody.err.startswith("automations: ")
    monkeypatch.setenv("AUTOMATIONS_API_KEY", await key(guarded, "viewer"))
    assert (await run("diff", files=[STOP])).code == 1
    refused = await run("apply", "--yes", files=[STOP])
    assert refused.code == 1
    assert "0 of 1 changes were made." in refused.err
    exported = await run("export")
    assert (exported.code, "automations: []" in exported.out) == (0, True)
    monkeypatch.setenv("AUTOMATIONS_API_KEY", await key(guarded, "editor"))
    assert (await run("apply", "--yes", files=[STOP])).code == 0


async def test_credentials_are_compared_and_exported_with_an_editors_key(
    guarded: Automations, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guarded.write("create_action", name="call", config={"webhook": {"url": "https://example.com/secret-path"}})
    monkeypatch.setenv("AUTOMATIONS_URL", guarded.url)
    monkeypatch.delenv("AUTOMATIONS_TENANT_ID")
    monkeypatch.setenv("AUTOMATIONS_API_KEY", await key(guarded, "viewer"))
    for command, files in (("export", []), ("diff", [STOP])):
        refused = await run(command, files=files)
        assert (refused.code, "use an editor's key" in refused.err) == (2, True)
    monkeypatch.setenv("AUTOMATIONS_API_KEY", await key(guarded, "editor"))
    assert "https://example.com/secret-path" in (await run("export")).out


@pytest.mark.parametrize("wrong", [None, "automations_0000000000000000_" + "0" * 64])
async def test_client_without_a_key_or_with_a_wrong_one_is_told(guarded: Automations, wrong: str | None) -> None:
    async with AsyncAutomationsClient(guarded.url, wrong) as client:
        with pytest.raises(ApiError) as refused:
            await client.automations()
    assert refused.value.code == "UNAUTHENTICATED"


async def test_client_of_a_role_that_may_not_is_told(guarded: Automations) -> None:
    async with AsyncAutomationsClient(guarded.url, await key(guarded, "viewer")) as client:
        assert await client.secret_names() == []
        with pytest.raises(ApiError) as refused:
            await client.set_secret("x", "y")
    assert refused.value.code == "FORBIDDEN"
