"""Answers of mutations that several share."""

from uuid import UUID

import strawberry


@strawberry.type(name="id_payload", description="The id of what was made.")
class IdPayload:
    id: UUID = strawberry.field(description="Its id.")


@strawberry.type(name="success_payload", description="It is done; what cannot be done is an error.")
class SuccessPayload:
    success: bool = strawberry.field(default=True, description="True.")
    error: str | None = strawberry.field(default=None, description="Null.")


@strawberry.type(name="saved_payload", description="The id of what was saved, and what to know about it.")
class SavedPayload:
    id: UUID = strawberry.field(description="Its id.")
    warnings: list[str] = strawberry.field(description="What will keep it from working as it is.")
