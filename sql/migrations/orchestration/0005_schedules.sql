-- What the scheduler asks for again and again: the flows whose schedule is on, and how far ahead each has made runs.
CREATE INDEX flow_scheduled ON public.flow (id) WHERE is_schedule_active AND NOT archived;
CREATE INDEX flow_run_auto_scheduled ON public.flow_run (flow_id, scheduled_start_time DESC) WHERE auto_scheduled;
