-- name: flow_of_flow_group$
-- The group's newest version; for a run that is asked for again, the version that has it already.
SELECT flow.id
FROM public.flow
LEFT JOIN public.flow_run
    ON flow_run.flow_id = flow.id AND flow_run.idempotency_key = CAST(:idempotency_key AS text)
WHERE flow.tenant_id = :tenant_id AND flow.flow_group_id = :flow_group_id
    AND (NOT flow.archived OR flow_run.id IS NOT NULL)
ORDER BY flow_run.id IS NULL, flow.version DESC
LIMIT 1;
