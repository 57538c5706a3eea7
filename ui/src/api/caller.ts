/** Who the server takes us for, and what that allows: nobody is shown a button that would be refused. */
import { computed, effect, signal } from "@preact/signals";
import { request } from "./client";
import { AUTH_INFO } from "./documents";
import type { CallerRow } from "./rows";
import { apiKey } from "./session";

export const caller = signal<CallerRow | null>(null);
export const mayEdit = computed(() => caller.value?.role === "admin" || caller.value?.role === "editor");

effect(() => {
  const asked = apiKey.value;
  caller.value = null;
  request<{ auth_info: CallerRow }>(AUTH_INFO)
    .then((data) => {
      if (asked === apiKey.value) caller.value = data.auth_info;
    })
    .catch(() => undefined); // the views say what is wrong
});
