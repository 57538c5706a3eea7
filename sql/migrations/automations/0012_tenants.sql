-- What a key for all tenants sees of them: each, the one it speaks for first, since clients take the first for their own.
CREATE FUNCTION automations.every_tenant(speaker uuid)
RETURNS TABLE (id uuid, created timestamptz, updated timestamptz, name text, slug text, settings jsonb, speaker_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT id, created, updated, name, slug, settings, speaker FROM public.tenant ORDER BY id <> speaker, slug
$$;
