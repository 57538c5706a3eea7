"""Secrets."""

import strawberry

from automations.access.roles import EDITORS
from automations.api.fields import mutation
from automations.api.payloads import SuccessPayload
from automations.api.scalars import Json
from automations.definitions import secrets


@strawberry.input(name="set_secret_input", description="A secret to keep; its value is never shown again.")
class SetSecretInput:
    name: str = strawberry.field(description="Its name, 1 to 255 characters.")
    value: Json = strawberry.field(description="Its value: any JSON, 64 kB at most.")


@strawberry.input(name="delete_secret_input", description="A secret to delete.")
class DeleteSecretInput:
    name: str = strawberry.field(description="Its name.")


@strawberry.type
class SecretMutations:
    @mutation("Set a secret, in place of an earlier one of this name.", by=EDITORS)
    async def set_secret(self, info: strawberry.Info, input: SetSecretInput) -> SuccessPayload | None:
        services = info.context.services
        async with info.context.change(info.field_name) as connection:
            await secrets.set_secret(
                connection, services.vault, info.context.tenant_id, name=input.name, value=input.value
            )
        return SuccessPayload()

    @mutation("Delete a secret.", by=EDITORS)
    async def delete_secret(self, info: strawberry.Info, input: DeleteSecretInput) -> SuccessPayload | None:
        async with info.context.change(info.field_name) as connection:
            await secrets.delete_secret(connection, info.context.tenant_id, input.name)
        return SuccessPayload()
