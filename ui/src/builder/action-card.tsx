import { useState } from "preact/hooks";
import { messageOf } from "../api/client";
import { Icon } from "../parts/icon";
import { OutcomeView } from "../parts/outcome";
import { Problem } from "../parts/page";
import { capital } from "../words";
import { hasRun, kindOfKey, type ActionKind } from "./catalog";
import { actionWords, fieldProblem, missingOf, type ActionDraft } from "./draft";
import { FieldEditor } from "./fields";
import { tryAction, withSecrets, type Outcome } from "./save";

interface ActionCardProps {
  action: ActionDraft;
  eventType: string;
  /** Whether what is missing is pointed at. */
  strict: boolean;
  onChange: (action: ActionDraft) => void;
  onRemove: () => void;
}

/** One action of the automation: its fields, or the name of the saved one. */
export function ActionCard({ action, eventType, strict, onChange, onRemove }: ActionCardProps) {
  const kind = kindOfKey(action.kind);
  const words = capital(actionWords(action));
  return (
    <section class="card action" aria-label={words}>
      <header>
        {kind && <Icon name={kind.icon} />}
        <h3>{words}</h3>
        <button type="button" class="bare" aria-label={`Remove: ${words}`} onClick={onRemove}>
          <Icon name="close" />
        </button>
      </header>
      {action.saved ? (
        <p class="quiet">
          A saved action. <a href="#/actions">Actions</a> shows and changes it.
        </p>
      ) : kind ? (
        <ActionFields kind={kind} action={action} eventType={eventType} strict={strict} onChange={onChange} />
      ) : (
        <p class="problem">This page does not know this kind of action. It stays as it is.</p>
      )}
      {kind?.needsRun && !hasRun(eventType) && <p class="problem">What is waited for has no run to cancel.</p>}
      <TestButton action={action} onChange={onChange} />
    </section>
  );
}

interface ActionFieldsProps {
  kind: ActionKind;
  action: ActionDraft;
  eventType: string;
  strict: boolean;
  onChange: (action: ActionDraft) => void;
}

export function ActionFields({ kind, action, eventType, strict, onChange }: ActionFieldsProps) {
  const field = (item: ActionKind["fields"][number]) => {
    const problem = fieldProblem(action, item);
    const shown = strict || action.unread[item.name] !== undefined ? problem : null;
    return <FieldEditor key={item.name} field={item} action={action} eventType={eventType} problem={shown} onChange={onChange} />;
  };
  const more = kind.fields.filter((item) => item.more);
  const used = more.some((item) => action.config[item.name] || action.secrets[item.name]);
  return (
    <div class="fields">
      {kind.fields.filter((item) => !item.more).map(field)}
      {more.length > 0 && (
        <details open={used}>
          <summary>More</summary>
          {more.map(field)}
        </details>
      )}
      {kind.help && (
        <details class="help">
          <summary>{kind.help.title}</summary>
          <ol>
            {kind.help.steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        </details>
      )}
    </div>
  );
}

interface TestButtonProps {
  action: ActionDraft;
  onChange?: (action: ActionDraft) => void;
}

/** Sends a sample with the action as it stands. A secret that was typed is set first. */
export function TestButton({ action, onChange }: TestButtonProps) {
  const [outcome, setOutcome] = useState<Outcome>();
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const kind = kindOfKey(action.kind);
  if (!kind || kind.needsRun || kind.key === "pause_schedule" || kind.key === "create_flow_run") return null;
  const run = async () => {
    setBusy(true);
    setProblem(undefined);
    setOutcome(undefined);
    try {
      const ready = action.saved ? action : await withSecrets(action);
      onChange?.(ready);
      setOutcome(await tryAction(ready));
    } catch (error) {
      setProblem(messageOf(error));
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" class="small" disabled={busy || missingOf(action).length > 0} onClick={run}>
        {busy ? "Sending …" : "Send a test"}
      </button>
      <Problem text={problem} />
      {outcome && <OutcomeView outcome={outcome} />}
    </>
  );
}
