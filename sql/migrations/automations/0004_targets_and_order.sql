-- One action may have several receivers, each with a delivery of its own; and deliveries about one subject may have to
-- go out in the order in which they fired.

ALTER TABLE automations.action
    ADD COLUMN targets text[] NOT NULL DEFAULT ARRAY[NULL]::text[],
    ADD COLUMN is_ordered boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN automations.action.targets IS 'A delivery is owed to each; null where the action has one receiver only';
COMMENT ON COLUMN automations.action.is_ordered IS 'Deliveries about one subject go out one after the other';

ALTER TABLE automations.delivery
    ADD COLUMN target text,
    ADD COLUMN subject text,
    ADD COLUMN is_ordered boolean NOT NULL DEFAULT false,
    ADD COLUMN may_have_arrived boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN automations.delivery.subject IS 'The same for all that an automation says about one flow run or agent config';
COMMENT ON COLUMN automations.delivery.is_ordered IS 'Waits for earlier ones of its action about the same subject';
COMMENT ON COLUMN automations.delivery.may_have_arrived IS 'An earlier attempt had an unknown outcome';

-- Whether an earlier one is still on its way.
CREATE INDEX delivery_order ON automations.delivery (tenant_id, action_id, subject, id)
    WHERE is_ordered AND status IN ('PENDING', 'SENDING');
-- Those that are due although an earlier one is on its way: the claim puts them off, so that it need not pass over them
-- again and again.
CREATE INDEX delivery_due_in_order ON automations.delivery (tenant_id, destination, due_at)
    WHERE is_ordered AND status = 'PENDING';
