"""How an operation travels, and what its answer means: for the clients, which send and wait."""

from collections.abc import Mapping
from typing import Any

import httpx

from automations.client.errors import ApiError, AutomationsError, Unavailable
from automations.client.operations import Operation

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0

# Nothing was sent: trying again is always safe.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def endpoint(url: str) -> str:
    """The address that operations are posted to, of the server's."""
    return f"{url.rstrip('/').removesuffix('/graphql')}/graphql"


def headers(api_key: str | None, tenant_id: str | None) -> dict[str, str]:
    """What says who calls, and for whom."""
    found = {}
    if api_key is not None:
        found["Authorization"] = f"Bearer {api_key}"
    if tenant_id is not None:
        found["X-PREFECT-TENANT-ID"] = str(tenant_id)
    return found


def body(operation: Operation[Any]) -> Mapping[str, Any]:
    """What is posted."""
    return {"query": operation.document, "variables": operation.variables}


def wait_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row, from 1."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (failures - 1))


def may_repeat(operation: Operation[Any], error: httpx.TransportError) -> bool:
    """Whether the operation may be sent again although it got no answer."""
    return operation.repeatable or isinstance(error, _NEVER_SENT)


def no_answer(url: str, error: httpx.TransportError) -> Unavailable:
    """What a call ends with that got none."""
    return Unavailable(f"{url} does not answer: {str(error) or type(error).__name__}")


def data_of(response: httpx.Response) -> Any:
    """The data of an answer; AutomationsError where there are errors."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not ("data" in answer or "errors" in answer):
        raise _strange(response)
    if errors := answer.get("errors"):
        first = errors[0]
        if response.status_code >= 500:
            raise Unavailable(first["message"])
        raise ApiError(first["message"], first.get("extensions", {}).get("code", "UNKNOWN"), errors)
    return answer["data"]


def _strange(response: httpx.Response) -> AutomationsError:
    text = f"{response.url} answered {response.status_code}, and not as a GraphQL API does."
    if response.status_code >= 500:
        return Unavailable(text)
    return ApiError(f"{text} Is this the server's address?", f"HTTP_{response.status_code}")
