import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { messageOf } from "../api/client";
import { Problem } from "../parts/page";
import { toast } from "../parts/toast";
import { go, guard } from "../route";
import { ActionCard } from "./action-card";
import { ActionPicker } from "./action-picker";
import { actionWords, eventType, missing, sentence, type ActionDraft, type Draft } from "./draft";
import { EventBlanks } from "./event-blanks";
import { saveAutomation } from "./save";

interface BuilderProps {
  start: Draft;
}

/** The sentence is the form. */
export function Builder({ start }: BuilderProps) {
  const [draft, setDraft] = useState(start);
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [strict, setStrict] = useState(false);
  const idempotencyKey = useMemo(() => crypto.getRandomValues(new Uint32Array(4)).join("-"), []);
  const cards = useRef<HTMLDivElement>(null);
  const latest = useRef(draft);
  latest.current = draft;

  useEffect(() => guard(() => JSON.stringify(latest.current) !== JSON.stringify(start)), [start]);

  const change = (part: Partial<Draft>) => setDraft((now) => ({ ...now, ...part }));
  const lacks = missing(draft);
  const put = (index: number, action: ActionDraft) =>
    setDraft((now) => ({ ...now, actions: now.actions.map((item, at) => (at === index ? action : item)) }));
  const add = (action: ActionDraft) => {
    change({ actions: [...draft.actions, action] });
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const card = cards.current?.lastElementChild;
        card?.querySelector<HTMLElement>("input, textarea, select")?.focus();
        card?.scrollIntoView({ block: "nearest" });
      }),
    );
  };

  const save = async () => {
    if (lacks.length) {
      setStrict(true);
      setProblem(lacks.join(" "));
      return;
    }
    setBusy(true);
    setProblem(undefined);
    try {
      await saveAutomation(draft, start.id ? start : null, idempotencyKey);
      toast(start.id ? "Saved." : "Saved. It watches from now on.");
      go("#/");
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };

  return (
    <form
      class="builder"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <p class="sentence">
        <EventBlanks draft={draft} onChange={change} />,{" "}
        {draft.actions.map((action, index) => (
          <span key={action.key}>
            <b>{actionWords(action)}</b>
            {index < draft.actions.length - 1 ? ", " : " "}
          </span>
        ))}
        {draft.actions.length < 20 && <ActionPicker draft={draft} onAdd={add} />}
      </p>
      <div ref={cards}>
        {draft.actions.map((action, index) => (
          <ActionCard
            key={action.key}
            action={action}
            eventType={eventType(draft)}
            strict={strict}
            onChange={(next) => put(index, next)}
            onRemove={() => change({ actions: draft.actions.filter((item) => item !== action) })}
          />
        ))}
      </div>
      <details class="card naming" open={draft.name !== null || Boolean(draft.description)}>
        <summary>Name and notes</summary>
        <div class="field">
          <label for="name">Name</label>
          <input
            id="name"
            maxLength={200}
            value={draft.name ?? ""}
            placeholder={sentence(draft)}
            onInput={(event) => change({ name: event.currentTarget.value || null })}
          />
        </div>
        <div class="field">
          <label for="description">Notes</label>
          <textarea
            id="description"
            rows={2}
            value={draft.description}
            onInput={(event) => change({ description: event.currentTarget.value })}
          />
        </div>
      </details>
      <Problem text={problem} />
      <div class="bar">
        <button type="submit" class="primary" disabled={busy} aria-disabled={lacks.length > 0} aria-describedby="lacks">
          {busy ? "Saving …" : "Save"}
        </button>
        <a class="button" href="#/">
          Cancel
        </a>
        <span id="lacks" class="quiet">
          {problem ? "" : lacks[0]}
        </span>
      </div>
    </form>
  );
}
