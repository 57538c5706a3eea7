/** What saving sends, in its order: secrets first, so that nothing is saved that lacks them. */
import { request } from "../api/client";
import { changed } from "../api/live";
import { CREATE_ACTION, CREATE_AUTOMATION, SET_SECRET, TEST_ACTION, UPDATE_ACTION, UPDATE_AUTOMATION } from "../api/documents";
import type { Json } from "../api/rows";
import { actionConfig, inputOf, type ActionDraft, type Draft } from "./draft";

export interface Outcome {
  success: boolean;
  error: string | null;
  status_code: number | null;
  rendered: Json;
}

/** Sets the secrets that were typed; the action then names them. */
export async function withSecrets(action: ActionDraft): Promise<ActionDraft> {
  const config = { ...action.config };
  for (const [field, secret] of Object.entries(action.secrets)) {
    if (!secret.value) continue;
    await request(SET_SECRET, { input: { name: secret.name, value: secret.value } });
    config[field] = secret.name;
  }
  return { ...action, config, secrets: {} };
}

/** The id, and the same draft without what was only for saving. */
export async function saveAutomation(draft: Draft, before: Draft | null, idempotencyKey: string): Promise<string> {
  const actions: ActionDraft[] = [];
  for (const action of draft.actions) actions.push(action.saved ? action : await withSecrets(action));
  const input = inputOf({ ...draft, actions }, before);
  if (before?.id) {
    await request(UPDATE_AUTOMATION, { input });
    changed();
    return before.id;
  }
  const made = await request<{ create_automation: { id: string } }>(CREATE_AUTOMATION, {
    input: { ...input, idempotency_key: idempotencyKey },
  });
  changed();
  return made.create_automation.id;
}

export async function saveAction(action: ActionDraft): Promise<void> {
  const ready = await withSecrets(action);
  const input = { name: action.name?.trim() || null, config: actionConfig(ready) };
  if (action.saved) await request(UPDATE_ACTION, { input: { ...input, action_id: action.saved } });
  else await request(CREATE_ACTION, { input });
  changed();
}

export async function tryAction(action: ActionDraft): Promise<Outcome> {
  const input = action.saved ? { action_id: action.saved } : { config: actionConfig(action) };
  const { test_action: outcome } = await request<{ test_action: Outcome }>(TEST_ACTION, { input });
  changed();
  return outcome;
}
