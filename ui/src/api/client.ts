import { signal } from "@preact/signals";

const KEY = "automations.key";

/** The API key of this tab; the browser forgets it with the tab. */
export const apiKey = signal(sessionStorage.getItem(KEY) ?? "");

/** Whether the server asked who we are. */
export const signInNeeded = signal(false);

export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

interface Answer<T> {
  data?: T;
  errors?: { message: string; extensions?: { code?: string } }[];
}

export type Variables = Record<string, unknown>;

export async function request<T>(query: string, variables: Variables = {}, keepalive = false): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (apiKey.value) headers["authorization"] = `Bearer ${apiKey.value}`;
  let answer: Answer<T>;
  try {
    const response = await fetch("/graphql", {
      method: "POST",
      headers,
      body: JSON.stringify({ query, variables }),
      keepalive,
    });
    answer = (await response.json()) as Answer<T>;
  } catch {
    throw new ApiError("The server does not answer.", "UNREACHABLE");
  }
  const error = answer.errors?.[0];
  if (error) {
    const code = error.extensions?.code ?? "";
    if (code === "UNAUTHENTICATED") signInNeeded.value = true;
    throw new ApiError(error.message, code);
  }
  return answer.data as T;
}

/** Tries a key; ApiError where it is refused. */
export async function signIn(key: string): Promise<void> {
  const earlier = apiKey.value;
  apiKey.value = key;
  try {
    await request("{ automation(limit: 1) { id } }");
  } catch (error) {
    apiKey.value = earlier;
    throw error;
  }
  sessionStorage.setItem(KEY, key);
  signInNeeded.value = false;
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  apiKey.value = "";
  location.reload();
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
