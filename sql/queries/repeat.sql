-- name: lock_repeats!
-- Two calls with one key take turns, so that the second finds what the first made.
SELECT pg_advisory_xact_lock(hashtextextended(
    CAST(:tenant_id AS text) || CAST(:table_name AS text) || CAST(:idempotency_key AS text), 1
));

-- name: find_repeated^
-- What was made with the key, and whether it is there still.
SELECT row_id, CASE table_name
    WHEN 'tenant' THEN EXISTS (SELECT FROM public.tenant WHERE tenant.id = row_id)
    WHEN 'project' THEN EXISTS (SELECT FROM public.project WHERE project.id = row_id)
    WHEN 'flow' THEN EXISTS (SELECT FROM public.flow WHERE flow.id = row_id)
    WHEN 'agent_config' THEN EXISTS (SELECT FROM public.agent_config WHERE agent_config.id = row_id)
    WHEN 'flow_group_sla' THEN EXISTS (
        SELECT FROM automations.flow_group_sla AS link WHERE link.tenant_id = made.tenant_id AND link.id = row_id
    )
END AS is_there
FROM automations.idempotency_key AS made
WHERE tenant_id = :tenant_id AND table_name = :table_name AND idempotency_key = :idempotency_key;

-- name: remember!
INSERT INTO automations.idempotency_key (tenant_id, table_name, idempotency_key, row_id)
VALUES (:tenant_id, :table_name, :idempotency_key, :row_id);
