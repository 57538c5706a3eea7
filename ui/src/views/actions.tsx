import { useState } from "preact/hooks";
import { mayEdit } from "../api/caller";
import { messageOf, request } from "../api/client";
import { ACTIONS, DELETE_ACTION, DELETE_SECRET, SET_SECRET } from "../api/documents";
import { changed, useLive } from "../api/live";
import type { ActionRow } from "../api/rows";
import { ActionFields, TestButton } from "../builder/action-card";
import { ACTION_KINDS, kindOfKey, kindOfType } from "../builder/catalog";
import { actionDraft, actionWords, missingOf, newAction, type ActionDraft } from "../builder/draft";
import { saveAction } from "../builder/save";
import { Blank, Choice } from "../parts/blank";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { Empty, Loading, Page, Problem } from "../parts/page";
import { toast } from "../parts/toast";
import { link } from "../route";
import { capital } from "../words";

/** Nothing tells of what others do to actions and secrets. */
const OTHERS_MS = 10_000;

interface Data {
  action: ActionRow[];
  automation: { id: string; name: string; actions: ActionRow[] }[];
  secret_names: string[];
}

async function attempt(work: () => Promise<unknown>, done: string): Promise<void> {
  try {
    await work();
    toast(done);
  } catch (error) {
    toast(messageOf(error), { tone: "bad" });
  }
  changed();
}

export function ActionsView() {
  const { data, error } = useLive<Data>(ACTIONS, {}, { everyMs: OTHERS_MS });
  const [editing, setEditing] = useState<ActionDraft | null>(null);
  return (
    <Page
      title="Actions and secrets"
      tools={
        mayEdit.value && (
          <Blank plain label="New action" value="New action">
            {(close) =>
              ACTION_KINDS.map((kind) => (
                <Choice
                  key={kind.key}
                  label={kind.name}
                  hint={kind.does}
                  onChoose={() => {
                    close();
                    setEditing(newAction(kind.key));
                  }}
                >
                  <Icon name={kind.icon} />
                </Choice>
              ))
            }
          </Blank>
        )
      }
    >
      <Problem text={error} />
      {editing && <ActionEditor key={editing.key} start={editing} onClose={() => setEditing(null)} />}
      {!data && !error && <Loading />}
      {data && !data.action.length && !editing && (
        <Empty>
          <p>No action is saved. An automation can have its own; one that many share, such as “#data on Slack”, is best saved here.</p>
        </Empty>
      )}
      <ul class="cards">
        {data?.action.map((row) => (
          <SavedAction key={row.id} row={row} data={data} onEdit={() => setEditing(actionDraft(row))} />
        ))}
      </ul>
      <h2>Secrets</h2>
      <p class="quiet">Sealed as soon as they are set. Nobody can read one again, here or over the API.</p>
      {data && <Secrets data={data} />}
      <h2>Where things are found</h2>
      {ACTION_KINDS.filter((kind) => kind.help).map((kind) => (
        <details key={kind.key} class="help">
          <summary>
            {kind.name}: {kind.help?.title}
          </summary>
          <ol>{kind.help?.steps.map((step) => <li key={step}>{step}</li>)}</ol>
        </details>
      ))}
    </Page>
  );
}

interface SavedActionProps {
  row: ActionRow;
  data: Data;
  onEdit: () => void;
}

function SavedAction({ row, data, onEdit }: SavedActionProps) {
  const draft = actionDraft(row);
  const users = data.automation.filter((item) => item.actions.some((action) => action.id === row.id));
  const kind = kindOfType(row.action_type);
  const words = row.name ?? capital(actionWords(draft));
  const [confirming, setConfirming] = useState(false);
  return (
    <li class="card saved">
      <header>
        <Icon name={kind?.icon ?? "bolt"} />
        <h3>
          {words} <small>{kind?.name}</small>
        </h3>
        {mayEdit.value && (
          <>
            <button type="button" class="small" aria-label={`Edit ${words}`} onClick={onEdit}>
              Edit
            </button>
            <button type="button" class="bare" aria-label={`Delete ${words}`} title="Delete" onClick={() => setConfirming(true)}>
              <Icon name="trash" />
            </button>
          </>
        )}
      </header>
      <p class="meta">
        {users.length ? "Used by" : "Used by nothing."}
        {users.map((user) => (
          <a key={user.id} href={link(`automations/${user.id}`)}>
            {user.name}
          </a>
        ))}
      </p>
      {[...row.problems, ...(row.paused_reason ? [row.paused_reason] : [])].map((problem) => (
        <p key={problem} class="warning">
          {problem}
        </p>
      ))}
      {mayEdit.value && <TestButton action={draft} />}
      {confirming && (
        <Dialog title={`Delete ${words}?`} onClose={() => setConfirming(false)}>
          <p>{users.length ? "Automations still use it, so the server may refuse." : "Nothing uses it."}</p>
          <div class="bar">
            <button
              type="button"
              class="primary"
              onClick={() => {
                setConfirming(false);
                void attempt(() => request(DELETE_ACTION, { input: { action_id: row.id } }), "Deleted.");
              }}
            >
              Delete
            </button>
            <button type="button" onClick={() => setConfirming(false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

function ActionEditor({ start, onClose }: { start: ActionDraft; onClose: () => void }) {
  const [action, setAction] = useState(start);
  const [problem, setProblem] = useState<string>();
  const [strict, setStrict] = useState(false);
  const kind = kindOfKey(action.kind);
  if (!kind) return <Problem text="This page does not know this kind of action." />;
  const inline = { ...action, saved: null };
  const save = async () => {
    const lacks = missingOf(inline);
    setStrict(lacks.length > 0);
    setProblem(lacks.join(" ") || undefined);
    if (lacks.length) return;
    try {
      await saveAction(action);
      toast("Saved.");
      onClose();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  return (
    <form
      class="card action"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <header>
        <Icon name={kind.icon} />
        <h2>{start.saved ? `Edit ${start.name ?? kind.name}` : `New: ${kind.name}`}</h2>
      </header>
      <div class="field">
        <label for="action-name">Name</label>
        <input
          id="action-name"
          autofocus
          value={action.name ?? ""}
          placeholder="#data, the person on call, …"
          onInput={(event) => setAction({ ...action, name: event.currentTarget.value })}
        />
      </div>
      <ActionFields kind={kind} action={action} eventType="FlowRunStateChangedEvent" strict={strict} onChange={setAction} />
      <TestButton action={inline} onChange={(ready) => setAction({ ...ready, saved: action.saved })} />
      <Problem text={problem} />
      <div class="bar">
        <button type="submit" class="primary">
          Save
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function Secrets({ data }: { data: Data }) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const users = (secret: string) => [
    ...data.action.filter((row) => uses(row, secret)).map((row) => row.name ?? kindOfType(row.action_type)?.name ?? "an action"),
    ...data.automation.filter((row) => row.actions.some((action) => action.inline && uses(action, secret))).map((row) => row.name),
  ];
  return (
    <>
      <ul class="rows secrets">
        {data.secret_names.map((secret) => (
          <li key={secret}>
            <Icon name="key" />
            <span class="what">
              <b>{secret}</b>
              <small>{users(secret).length ? `Used by ${users(secret).join(", ")}` : "Used by nothing"}</small>
            </span>
            {mayEdit.value && (
              <>
                <button type="button" class="small" aria-label={`Replace ${secret}`} onClick={() => {
                    setName(secret);
                    document.getElementById("secret-value")?.focus();
                  }}>
                  Replace
                </button>
                {!users(secret).length && (
                  <button
                    type="button"
                    class="bare"
                    aria-label={`Delete ${secret}`}
                    title="Delete"
                    onClick={() => void attempt(() => request(DELETE_SECRET, { input: { name: secret } }), `${secret} is deleted.`)}
                  >
                    <Icon name="trash" />
                  </button>
                )}
              </>
            )}
          </li>
        ))}
      </ul>
      {mayEdit.value && (
        <form
          class="row secret"
          onSubmit={(event) => {
            event.preventDefault();
            void attempt(() => request(SET_SECRET, { input: { name: name.trim(), value } }), `${name.trim()} is set.`);
            setName("");
            setValue("");
          }}
        >
          <input aria-label="Name of the secret" placeholder="NAME" value={name} onInput={(event) => setName(event.currentTarget.value)} />
          <input
            id="secret-value"
            aria-label="Value of the secret"
            type="password"
            autocomplete="off"
            placeholder="Value"
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
          <button type="submit" disabled={!name.trim() || !value}>
            {data.secret_names.includes(name.trim()) ? "Replace" : "Set"}
          </button>
        </form>
      )}
    </>
  );
}

function uses(row: ActionRow, secret: string): boolean {
  return Object.entries(row.action_config).some(([field, value]) => field.includes("secret") && value === secret);
}
