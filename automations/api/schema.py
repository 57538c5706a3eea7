"""The schema: every read of every table, and the mutations of every noun."""

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from automations.access.roles import EVERYBODY, RUNS
from automations.api.about import api_info, auth_info, reference_data
from automations.api.fields import query
from automations.api.mutations.actions import ActionMutations
from automations.api.mutations.agent_configs import AgentConfigMutations
from automations.api.mutations.agents import AgentMutations
from automations.api.mutations.api_keys import ApiKeyMutations
from automations.api.mutations.automations import AutomationMutations
from automations.api.mutations.flow_runs import FlowRunMutations
from automations.api.mutations.flows import FlowMutations
from automations.api.mutations.hooks import HookMutations
from automations.api.mutations.logs import LogMutations
from automations.api.mutations.secrets import SecretMutations
from automations.api.mutations.slas import SlaMutations
from automations.api.mutations.task_runs import TaskRunMutations, task_run_info
from automations.api.mutations.tenants import TenantMutations
from automations.api.mutations.trials import TrialMutations
from automations.api.permissions import check_complete
from automations.api.reads import read_fields
from automations.api.scalars import SCALARS
from automations.api.secrets import secret_names, secret_value
from automations.api.subscriptions.fields import subscription_fields


def _hello() -> str | None:
    return "👋"


_query_fields: dict[str, Any] = {
    **query("hello", _hello, "Says hello: the server is there.", by=EVERYBODY, is_constant=True),
    **query("secret_names", secret_names, "Names of the secrets there are.", by=EVERYBODY),
    **query("secret_value", secret_value, "The value of a secret, for a flow run whose key reads secrets.", by=RUNS),
    **query("auth_info", auth_info, "Who asks.", by=EVERYBODY),
    **query("api", api_info, "What answers.", by=EVERYBODY, is_constant=True),
    **query("reference_data", reference_data, "What states there are.", by=EVERYBODY, is_constant=True),
    **query("get_task_run_info", task_run_info, "The state of a task run, or null.", by=EVERYBODY),
    **read_fields(),
}

Query = strawberry.type(type("Query", (), _query_fields), description="Reads.")


@strawberry.type(description="Writes, each with one input and a small payload.")
class Mutation(
    AutomationMutations,
    ActionMutations,
    HookMutations,
    SlaMutations,
    TrialMutations,
    SecretMutations,
    TenantMutations,
    ApiKeyMutations,
    FlowMutations,
    FlowRunMutations,
    TaskRunMutations,
    LogMutations,
    AgentMutations,
    AgentConfigMutations,
):
    pass


Subscription = strawberry.type(
    type("Subscription", (), subscription_fields()), description="Rows as they change, over WebSocket or as events."
)

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(auto_camel_case=False, scalar_map=SCALARS),
)

check_complete(schema._schema)  # noqa: SLF001 - strawberry has no public way to it
