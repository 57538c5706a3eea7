-- What pages ask for among a million runs. None holds heartbeat or updated: heartbeats stay inside their page.

-- A flow's runs, the newest first.
CREATE INDEX flow_run_flow_start ON public.flow_run (flow_id, scheduled_start_time DESC);
-- A flow's next runs: without it they are looked for among all that the flow ever had.
CREATE INDEX flow_run_upcoming ON public.flow_run (flow_id, scheduled_start_time) WHERE state = 'Scheduled';
-- What entered a state lately.
CREATE INDEX flow_run_state_time ON public.flow_run (tenant_id, state, state_timestamp DESC);
