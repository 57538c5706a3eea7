-- A delivery may be sent again, as a new one.
ALTER TABLE automations.delivery ADD COLUMN redelivery_of uuid;
COMMENT ON COLUMN automations.delivery.redelivery_of IS 'The delivery that this one repeats because somebody asked for it';
