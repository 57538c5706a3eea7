import { useState } from "preact/hooks";
import { messageOf, request } from "../api/client";
import { CREATE_FLOW, CREATE_FLOW_RUN, CREATE_PROJECT, SET_FLOW_RUN_STATES } from "../api/documents";
import { changed } from "../api/live";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { go, link } from "../route";

const PROJECT = "Samples";
const FLOW = "sample";

async function made(document: string, mutation: string, input: Record<string, unknown>): Promise<string> {
  const data = await request<Record<string, { id: string }>>(document, { input });
  return data[mutation]?.id ?? "";
}

/** A run that fails, reported as Prefect would report it. The project and the flow are made once. */
async function failSampleRun(): Promise<void> {
  const once = { idempotency_key: "the sample of the page" };
  const project_id = await made(CREATE_PROJECT, "create_project", { name: PROJECT, ...once });
  const flow_id = await made(CREATE_FLOW, "create_flow", { project_id, serialized_flow: { name: FLOW }, ...once });
  const flow_run_id = await made(CREATE_FLOW_RUN, "create_flow_run", { flow_id });
  for (const state of [{ type: "Running" }, { type: "Failed", message: "Made to fail, to see what happens." }]) {
    await request(SET_FLOW_RUN_STATES, { input: { states: [{ flow_run_id, state }] } });
  }
}

/** Lets something happen, so that somebody without a flow sees what becomes of it. */
export function SampleButton() {
  const [busy, setBusy] = useState(false);
  const fail = async () => {
    setBusy(true);
    try {
      await failSampleRun();
      toast("A run of the flow “sample” has failed. What is sent because of it shows here.");
      go(link("activity"));
    } catch (error) {
      toast(messageOf(error), { tone: "bad" });
    }
    changed();
    setBusy(false);
  };
  return (
    <button type="button" disabled={busy} onClick={fail}>
      <Icon name="bolt" /> {busy ? "Running …" : "Make a sample run fail"}
    </button>
  );
}

/** For those whose automations have not fired yet. */
export function TryIt() {
  return (
    <section class="card try" aria-label="Try it">
      <p>
        <b>Nothing has fired yet.</b> <span class="quiet">You need not wait: let a run of a flow named “sample” fail, and watch.</span>
      </p>
      <SampleButton />
    </section>
  );
}
