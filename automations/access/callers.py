"""Who asks: the role and the tenant of a request."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from typing import Final
from uuid import UUID

from starlette.requests import HTTPConnection

from automations.access.keyring import Keyring
from automations.access.rates import Rates
from automations.access.roles import Role
from automations.database import Database
from automations.errors import Unauthenticated
from automations.orchestration.tenants import tenant_exists

NO_KEY: Final = "unauthenticated"
_REFUSED: Final = "Send a valid API key: Authorization: Bearer KEY."


@dataclass(frozen=True)
class Caller:
    """A role in a tenant, and the API key that gives it; `name` is the key's, or says that there is none."""

    tenant_id: UUID
    role: Role = Role.ADMIN
    name: str = NO_KEY
    key_id: UUID | None = None
    all_tenants: bool = True
    reads_secrets: bool = False
    expires_at: datetime | None = None


def client_address(connection: HTTPConnection) -> str:
    """Where a connection comes from; of IPv6, the network of 64 bits whose addresses are all somebody's own."""
    return _network(connection.client.host) if connection.client else ""


@lru_cache(maxsize=10_000)
def _network(host: str) -> str:
    try:
        return str(ip_network((IPv6Address(host.partition("%")[0]), 64), strict=False))
    except ValueError:
        return host


class Callers:
    """Tells who asks. Without a keyring everybody is an admin of every tenant."""

    def __init__(
        self, database: Database, keyring: Keyring | None, *, default_tenant_id: UUID, wrong_keys_per_second: float
    ) -> None:
        self._database, self._keyring = database, keyring
        self._default = Caller(default_tenant_id)
        self._known_tenants = {default_tenant_id}
        self._wrong_keys = Rates(wrong_keys_per_second, "wrong API keys")

    async def of(self, authorization: str | None, tenant_id: UUID | None, *, address: str) -> Caller:
        """The caller at this address with this Authorization header, who speaks for this tenant or for the key's own.

        Unauthenticated, in the same words whatever is wrong with the key; and in the same words for a tenant that the
        key is not for as for one that does not exist. TooManyRequests where many wrong keys came from the address; a
        key that was right before is looked at even then: behind a proxy everybody has the same address.
        """
        caller = self._default if self._keyring is None else await self._of_key(self._keyring, authorization, address)
        if tenant_id is None or tenant_id == caller.tenant_id:
            return caller
        if not caller.all_tenants or not await self._is_tenant(tenant_id):
            raise Unauthenticated(f"There is no tenant {tenant_id}.")
        return replace(caller, tenant_id=tenant_id)

    async def _of_key(self, keyring: Keyring, authorization: str | None, address: str) -> Caller:
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(_REFUSED)
        if not keyring.has_verified(text.strip()):
            self._wrong_keys.check(address)
        key = await keyring.verified(text.strip())
        if key is None:
            self._wrong_keys.take(address, 1)
            raise Unauthenticated(_REFUSED)
        return Caller(
            tenant_id=key.tenant_id,
            role=key.role,
            name=key.name,
            key_id=key.id,
            all_tenants=key.all_tenants,
            reads_secrets=key.reads_secrets,
            expires_at=key.expires_at,
        )

    async def _is_tenant(self, tenant_id: UUID) -> bool:
        """Whether it exists; asked once of one that does, since tenants stay."""
        if tenant_id in self._known_tenants:
            return True
        async with self._database.connection() as connection:
            exists = await tenant_exists(connection, tenant_id)
        if exists:
            self._known_tenants.add(tenant_id)
        return exists
