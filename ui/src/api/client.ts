import { signal } from "@preact/signals";
import { apiKey, chooseTenant, credentials, keepKey, tenantId } from "./session";

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
  const key = apiKey.value;
  let answer: Answer<T>;
  try {
    const response = await fetch("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", ...credentials() },
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
    if (code === "UNAUTHENTICATED" && key === apiKey.value) {
      if (tenantId.value) chooseTenant(""); // it may be the tenant that is unknown, not the key
      signInNeeded.value = true;
    }
    throw new ApiError(error.message, code);
  }
  return answer.data as T;
}

/** Tries a key; ApiError where it is refused. */
export async function signIn(key: string): Promise<void> {
  const earlier = apiKey.value;
  apiKey.value = key;
  try {
    await request("{ auth_info { role } }");
  } catch (error) {
    apiKey.value = earlier;
    throw error;
  }
  keepKey();
  signInNeeded.value = false;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
