import { Icon } from "../parts/icon";
import { JsonView } from "../parts/outcome";
import { capital } from "../words";
import { kindOfKey } from "./catalog";
import { actionWords, sentence, type ActionDraft, type Draft } from "./draft";

/** An automation for those who may not change it. */
export function Reading({ draft }: { draft: Draft }) {
  return (
    <>
      <p class="sentence">{sentence(draft)}</p>
      {draft.description && <p class="quiet">{draft.description}</p>}
      {draft.actions.map((action) => (
        <ActionReading key={action.key} action={action} />
      ))}
    </>
  );
}

function ActionReading({ action }: { action: ActionDraft }) {
  const kind = kindOfKey(action.kind);
  const fields = kind?.fields.filter((field) => action.config[field.name]) ?? [];
  return (
    <section class="card action" aria-label={capital(actionWords(action))}>
      <header>
        <Icon name={kind?.icon ?? "bolt"} />
        <h3>{capital(actionWords(action))}</h3>
      </header>
      <dl class="facts">
        {fields.map((field) => {
          const value = action.config[field.name];
          return [
            <dt>{field.label}</dt>,
            <dd>{typeof value === "string" ? value : <JsonView label="Show" value={value ?? null} />}</dd>,
          ];
        })}
      </dl>
    </section>
  );
}
