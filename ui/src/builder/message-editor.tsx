import { useEffect, useId, useRef, useState } from "preact/hooks";
import { messageOf, request } from "../api/client";
import { PREVIEW, RECENT_RUNS } from "../api/documents";
import { useLive } from "../api/live";
import type { RunRow } from "../api/rows";
import { ATTRIBUTES, hasRun } from "./catalog";

interface MessageEditorProps {
  label: string;
  value: string;
  eventType: string;
  onChange: (value: string) => void;
}

const SHOWN = 6;
const TYPING_MS = 200;

/** A text with the event's attributes as chips, and what becomes of it. */
export function MessageEditor({ label, value, eventType, onChange }: MessageEditorProps) {
  const id = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  const [all, showAll] = useState(false);
  const [run, setRun] = useState("");
  const preview = usePreview(value, eventType, run);
  const runs = useLive<{ flow_run: RunRow[] }>(hasRun(eventType) ? RECENT_RUNS : null);
  const attributes = ATTRIBUTES[eventType] ?? [];

  const insert = (attribute: string) => {
    const box = area.current;
    if (!box) return;
    const text = `{${attribute}}`;
    const from = box.selectionStart;
    onChange(value.slice(0, from) + text + value.slice(box.selectionEnd));
    requestAnimationFrame(() => {
      box.focus();
      box.setSelectionRange(from + text.length, from + text.length);
    });
  };

  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        ref={area}
        rows={2}
        value={value}
        placeholder="Empty: a plain sentence that says what happened."
        aria-invalid={Boolean(preview.error)}
        aria-describedby={`${id}-preview`}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <div class="chips" role="group" aria-label={`Insert into ${label}`}>
        {(all ? attributes : attributes.slice(0, SHOWN)).map((attribute) => (
          <button key={attribute} type="button" aria-label={`Insert ${attribute}`} onClick={() => insert(attribute)}>
            {attribute}
          </button>
        ))}
        {attributes.length > SHOWN && (
          <button type="button" class="link" aria-expanded={all} onClick={() => showAll(!all)}>
            {all ? "fewer" : `${attributes.length - SHOWN} more`}
          </button>
        )}
      </div>
      <div class="preview" id={`${id}-preview`}>
        <div class="row">
          <small>As it will be sent</small>
          {Boolean(runs.data?.flow_run.length) && (
            <select aria-label="Preview with" value={run} onChange={(event) => setRun(event.currentTarget.value)}>
              <option value="">with a made-up run</option>
              {runs.data?.flow_run.map((row) => (
                <option key={row.id} value={row.id}>
                  with {row.flow?.name} · {row.name}
                </option>
              ))}
            </select>
          )}
        </div>
        {preview.error ? <p class="problem">{preview.error}</p> : <p>{preview.text}</p>}
        {preview.unknown.length > 0 && (
          <p class="warning">Such an event has no {preview.unknown.join(", ")}: it stays as it is written.</p>
        )}
      </div>
    </div>
  );
}

function usePreview(template: string, eventType: string, run: string) {
  const [preview, setPreview] = useState<{ text: string; unknown: string[]; error?: string }>({ text: "…", unknown: [] });
  useEffect(() => {
    let over = false;
    const timer = setTimeout(async () => {
      try {
        const input = { event_type: eventType, template: template || "{message}", flow_run_id: run || null };
        const { preview_message: made } = await request<{ preview_message: { rendered: string; unknown_fields: string[] } }>(
          PREVIEW,
          { input },
        );
        if (!over) setPreview({ text: made.rendered, unknown: made.unknown_fields });
      } catch (error) {
        if (!over) setPreview((now) => ({ ...now, unknown: [], error: messageOf(error) }));
      }
    }, TYPING_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [template, eventType, run]);
  return preview;
}
