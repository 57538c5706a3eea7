import { SAVED_ACTIONS } from "../api/documents";
import { useLive } from "../api/live";
import type { ActionRow } from "../api/rows";
import { Blank, Choice } from "../parts/blank";
import { Icon } from "../parts/icon";
import { capital } from "../words";
import { ACTION_KINDS, kindOfType } from "./catalog";
import { actionDraft, actionWords, newAction, type ActionDraft, type Draft } from "./draft";

interface ActionPickerProps {
  draft: Draft;
  onAdd: (action: ActionDraft) => void;
}

/** The last blank: what to do. */
export function ActionPicker({ draft, onAdd }: ActionPickerProps) {
  const { data } = useLive<{ action: ActionRow[] }>(SAVED_ACTIONS);
  const first = !draft.actions.length;
  const saved = (data?.action ?? []).filter((row) => !draft.actions.some((item) => item.saved === row.id));
  return (
    <Blank label="What to do" value={first ? "do what?" : "and …"} empty>
      {(close) => {
        const add = (action: ActionDraft) => {
          close();
          onAdd(action);
        };
        return (
          <>
            {saved.length > 0 && (
              <>
                <h4>Saved</h4>
                {saved.map((row) => (
                  <Choice
                    key={row.id}
                    label={capital(actionWords(actionDraft(row)))}
                    hint={kindOfType(row.action_type)?.name}
                    onChoose={() => add(actionDraft(row))}
                  >
                    <Icon name={kindOfType(row.action_type)?.icon ?? "bolt"} />
                  </Choice>
                ))}
                <h4>New</h4>
              </>
            )}
            {ACTION_KINDS.filter((kind) => !(kind.needsRun && draft.subject !== "flows")).map((kind) => (
              <Choice key={kind.key} label={kind.name} hint={kind.does} onChoose={() => add(newAction(kind.key))}>
                <Icon name={kind.icon} />
              </Choice>
            ))}
          </>
        );
      }}
    </Blank>
  );
}
