/** Who this tab speaks as: the browser forgets it with the tab. */
import { signal } from "@preact/signals";

const KEY = "automations.key";
const TENANT = "automations.tenant";

export const apiKey = signal(sessionStorage.getItem(KEY) ?? "");
/** The tenant that was chosen; empty is the one that the key is for. */
export const tenantId = signal(sessionStorage.getItem(TENANT) ?? "");

/** What each request says of its sender. */
export function credentials(): Record<string, string> {
  return {
    ...(apiKey.value && { authorization: `Bearer ${apiKey.value}` }),
    ...(tenantId.value && { "x-prefect-tenant-id": tenantId.value }),
  };
}

export function keepKey(): void {
  sessionStorage.setItem(KEY, apiKey.value);
}

/** Everything shown is of another tenant from now on, so the page starts anew. */
export function chooseTenant(id: string): void {
  if (id) sessionStorage.setItem(TENANT, id);
  else sessionStorage.removeItem(TENANT);
  location.hash = "#/";
  location.reload();
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  chooseTenant("");
}
