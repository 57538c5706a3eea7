-- What the tables of an existing backend leave open: rows without a tenant, and changes that its API made because we
-- asked it to.

-- A row without a tenant has that of what it belongs to, or of what belongs to it.
CREATE FUNCTION automations.tenant_of_flow(flow_id uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(flow.tenant_id, flow_group.tenant_id, project.tenant_id)
    FROM public.flow
    LEFT JOIN public.flow_group ON flow_group.id = flow.flow_group_id
    LEFT JOIN public.project ON project.id = flow.project_id
    WHERE flow.id = $1
$$;

CREATE FUNCTION automations.tenant_of_flow_group(flow_group_id uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT automations.tenant_of_flow(flow.id) FROM public.flow WHERE flow.flow_group_id = $1 LIMIT 1
$$;

CREATE FUNCTION automations.tenant_of_project(project_id uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT automations.tenant_of_flow(flow.id) FROM public.flow WHERE flow.project_id = $1 LIMIT 1
$$;

CREATE FUNCTION automations.tenant_of_flow_run(flow_run_id uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(run.tenant_id, automations.tenant_of_flow(run.flow_id)) FROM public.flow_run AS run WHERE run.id = $1
$$;

CREATE FUNCTION automations.tenant_of_task_run(task_run_id uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(run.tenant_id, automations.tenant_of_flow_run(run.flow_run_id))
    FROM public.task_run AS run WHERE run.id = $1
$$;

CREATE OR REPLACE FUNCTION automations.note_flow_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM automations.change_listener WHERE listens_until > clock_timestamp()) THEN
        INSERT INTO automations.change (table_name, tenant_id, id)
        SELECT DISTINCT 'flow_run', tenant.id, noted.flow_run_id
        FROM noted
        CROSS JOIN LATERAL (
            SELECT coalesce(noted.tenant_id, automations.tenant_of_flow_run(noted.flow_run_id)) AS id
        ) AS tenant
        WHERE tenant.id IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;

-- The delivery whose action an existing backend carried out with this change: its API takes no note of one. A run that
-- we asked for has the delivery as its idempotency key; one that we had cancelled, the latest such delivery about it.
CREATE FUNCTION automations.cause_of(tenant uuid, run_id uuid, state text) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN state IN ('pending', 'scheduled') THEN (
            SELECT delivery.id
            FROM public.flow_run AS run
            JOIN automations.delivery ON delivery.tenant_id = tenant AND delivery.id = CASE
                WHEN run.idempotency_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN run.idempotency_key::uuid
            END
            WHERE run.id = run_id
        )
        WHEN state IN ('cancelling', 'cancelled') THEN (
            SELECT delivery.id
            FROM automations.firing
            JOIN automations.delivery ON delivery.tenant_id = firing.tenant_id AND delivery.firing_id = firing.id
            WHERE firing.tenant_id = tenant AND firing.flow_run_id = run_id AND NOT firing.is_test
                AND delivery.action_type = 'CancelFlowRunAction' AND delivery.attempt_count > 0
            ORDER BY firing.created DESC, firing.id DESC
            LIMIT 1
        )
    END
$$;
