import { useId, useState } from "preact/hooks";
import { SECRET_NAMES } from "../api/documents";
import { useLive } from "../api/live";
import type { FlowRow, Json } from "../api/rows";
import { Blank } from "../parts/blank";
import { FLOWS_OF_GROUPS } from "../api/documents";
import type { Field } from "./catalog";
import type { ActionDraft } from "./draft";
import { FlowPicker } from "./flow-picker";
import { MessageEditor } from "./message-editor";

interface FieldProps {
  field: Field;
  action: ActionDraft;
  eventType: string;
  problem: string | null;
  onChange: (action: ActionDraft) => void;
}

/** One field of an action's config, by its kind. */
export function FieldEditor(props: FieldProps) {
  const { field, action, eventType, onChange } = props;
  const value = action.config[field.name];
  switch (field.kind) {
    case "message":
      return (
        <MessageEditor
          label={field.label}
          eventType={eventType}
          value={typeof value === "string" ? value : ""}
          onChange={(text) => onChange(withValue(action, field.name, text))}
        />
      );
    case "secret":
      return <SecretField {...props} />;
    case "flow":
      return <FlowField {...props} />;
    default:
      return <TextField {...props} />;
  }
}

function withValue(action: ActionDraft, name: string, value: Json): ActionDraft {
  return { ...action, config: { ...action.config, [name]: value } };
}

function Told({ id, field, problem }: { id: string; field: Field; problem: string | null }) {
  return (
    <>
      {field.hint && <small id={`${id}-hint`}>{field.hint}</small>}
      {problem && (
        <small class="bad" id={`${id}-problem`}>
          {problem}
        </small>
      )}
    </>
  );
}

function TextField({ field, action, problem, onChange }: FieldProps) {
  const id = useId();
  const value = action.config[field.name];
  const shared = {
    id,
    placeholder: field.placeholder,
    required: field.required,
    "aria-invalid": Boolean(problem),
    "aria-describedby": `${id}-hint ${id}-problem`,
    autocomplete: "off",
  };
  const set = (text: string) => onChange(withValue(action, field.name, text));
  const list = (text: string) => onChange(withValue(action, field.name, text.split(/[,;\n]/).map((item) => item.trim()).filter(Boolean)));
  // What is typed stays as it is typed: a comma at the end would be lost in the list.
  const [typed, setTyped] = useState(Array.isArray(value) ? value.join("\n") : "");
  return (
    <div class="field">
      <label for={id}>{field.label}</label>
      {field.kind === "choice" ? (
        <select {...shared} value={String(value ?? "").toLowerCase()} onChange={(event) => set(event.currentTarget.value)}>
          {field.choices?.map((choice) => <option key={choice}>{choice}</option>)}
        </select>
      ) : field.kind === "list" ? (
        <textarea
          {...shared}
          rows={Math.min(5, Math.max(1, typed.split("\n").length))}
          value={typed}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            list(event.currentTarget.value);
          }}
        />
      ) : field.kind === "json" ? (
        <JsonArea shared={shared} field={field} action={action} onChange={onChange} />
      ) : (
        <input {...shared} value={typeof value === "string" ? value : ""} onInput={(event) => set(event.currentTarget.value)} />
      )}
      <Told id={id} field={field} problem={problem} />
    </div>
  );
}

interface JsonAreaProps {
  shared: Record<string, unknown>;
  field: Field;
  action: ActionDraft;
  onChange: (action: ActionDraft) => void;
}

function JsonArea({ shared, field, action, onChange }: JsonAreaProps) {
  const value = action.config[field.name];
  const text = action.unread[field.name] ?? (value === undefined || value === null ? "" : JSON.stringify(value, null, 2));
  const [typed, setTyped] = useState(text);
  const read = (written: string) => {
    setTyped(written);
    const { [field.name]: _unread, ...unread } = action.unread;
    if (!written.trim()) return onChange({ ...withValue(action, field.name, null), unread });
    try {
      onChange({ ...withValue(action, field.name, JSON.parse(written) as Json), unread });
    } catch {
      onChange({ ...action, unread: { ...unread, [field.name]: written } });
    }
  };
  return (
    <textarea
      {...shared}
      class="code"
      spellcheck={false}
      rows={Math.min(10, Math.max(2, typed.split("\n").length))}
      value={typed}
      onInput={(event) => read(event.currentTarget.value)}
    />
  );
}

const NEW = "\u0000new";

/** A secret is chosen by its name, or typed here once: it is set when the automation is saved. */
function SecretField({ field, action, problem, onChange }: FieldProps) {
  const id = useId();
  const { data } = useLive<{ secret_names: string[] }>(SECRET_NAMES);
  const names = data?.secret_names ?? [];
  const chosen = action.config[field.name];
  const isNew = action.secrets[field.name] !== undefined || (!chosen && !field.more && data !== undefined && !names.length);
  const secret = action.secrets[field.name] ?? { name: freeName(field.secret ?? "SECRET", names), value: "" };
  const setSecret = (change: Partial<typeof secret>) =>
    onChange({ ...action, secrets: { ...action.secrets, [field.name]: { ...secret, ...change } } });
  const choose = (name: string) => {
    if (name === NEW) return setSecret({});
    const { [field.name]: _dropped, ...secrets } = action.secrets;
    onChange({ ...withValue(action, field.name, name), secrets });
  };
  const known = typeof chosen === "string" && chosen && !names.includes(chosen) ? [chosen, ...names] : names;
  const describedBy = `${id}-hint ${id}-problem`;
  return (
    <div class="field">
      <label for={id}>{field.label}</label>
      {known.length > 0 && (
        <select
          id={isNew ? `${id}-which` : id}
          aria-label={isNew ? `${field.label}: which secret` : undefined}
          aria-describedby={describedBy}
          value={isNew ? NEW : typeof chosen === "string" ? chosen : ""}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          <option value="">Choose a secret …</option>
          {known.map((name) => (
            <option key={name} value={name}>
              {name}
              {names.includes(name) || !data ? "" : " (does not exist yet)"}
            </option>
          ))}
          <option value={NEW}>A new one …</option>
        </select>
      )}
      {isNew && (
        <>
          <input
            id={id}
            type="password"
            autocomplete="off"
            data-1p-ignore
            placeholder={field.placeholder}
            value={secret.value}
            aria-invalid={Boolean(problem)}
            aria-describedby={describedBy}
            onInput={(event) => setSecret({ value: event.currentTarget.value })}
          />
          <small>
            Sealed as the secret{" "}
            <input
              class="inline-name"
              aria-label={`Name of the secret for ${field.label}`}
              value={secret.name}
              onInput={(event) => setSecret({ name: event.currentTarget.value })}
            />{" "}
            and never shown again.
          </small>
        </>
      )}
      <Told id={id} field={field} problem={problem} />
    </div>
  );
}

function freeName(wanted: string, names: string[]): string {
  let name = wanted;
  for (let number = 2; names.includes(name); number++) name = `${wanted}_${number}`;
  return name;
}

function FlowField({ field, action, onChange }: FieldProps) {
  const value = action.config[field.name];
  const group = typeof value === "string" && value ? value : null;
  const { data } = useLive<{ flow: FlowRow[] }>(group ? FLOWS_OF_GROUPS : null, { ids: [group] });
  const name = group ? (data?.flow[0]?.name ?? "…") : "the flow that it happened to";
  return (
    <div class="field">
      <span class="label">{field.label}</span>
      <div class="row">
        <Blank label={field.label} value={name}>
          {(close) => (
            <FlowPicker
              single
              chosen={group ? [{ id: group, name }] : []}
              onChange={(flows) => onChange(withValue(action, field.name, flows[0]?.id ?? null))}
              onDone={close}
            />
          )}
        </Blank>
        {group && (
          <button type="button" class="link" onClick={() => onChange(withValue(action, field.name, null))}>
            Take the event’s
          </button>
        )}
      </div>
      {field.hint && <small>{field.hint}</small>}
    </div>
  );
}
