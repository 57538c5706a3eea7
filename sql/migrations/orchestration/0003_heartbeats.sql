-- Runs that have a process, to find those whose process died. No heartbeat column: heartbeats stay inside their page.
CREATE INDEX flow_run_at_work ON public.flow_run (start_time) WHERE state IN ('Running', 'Cancelling');
