import { useMemo } from "preact/hooks";
import { caller, mayEdit } from "../api/caller";
import { AUTOMATION_BY_ID } from "../api/documents";
import { useLive } from "../api/live";
import type { AutomationRow } from "../api/rows";
import { Builder } from "../builder/builder";
import { copyOf, draftOf, newDraft, RECIPES } from "../builder/draft";
import { Reading } from "../builder/reading";
import { useNames } from "../parts/names";
import { Loading, Page, Problem } from "../parts/page";
import { link, parameters } from "../route";

const ALL = { name: "Automations", to: "#/" };

export function NewView() {
  const from = parameters.value.get("from");
  const recipe = RECIPES[parameters.value.get("recipe") ?? ""];
  const start = useMemo(() => recipe?.draft() ?? newDraft(), [recipe]);
  return from ? <Loaded id={from} copies /> : (
    <Page title="New automation" from={ALL}>
      {caller.value && !mayEdit.value ? <Problem text="Your key may look, but not make automations." /> : <Builder start={start} />}
    </Page>
  );
}

export function EditView({ id }: { id: string }) {
  return <Loaded id={id} />;
}

/** Loaded once: what others change meanwhile does not pull the form from under somebody's hands. */
function Loaded({ id, copies }: { id: string; copies?: boolean }) {
  const { data, error } = useLive<{ automation_by_pk: AutomationRow | null }>(AUTOMATION_BY_ID, { id });
  const row = data?.automation_by_pk;
  const names = useNames(row ? [row] : data && []);
  const isReady = names !== undefined && row !== undefined && row !== null;
  const start = useMemo(() => {
    if (!isReady) return null;
    const draft = draftOf(row, names);
    return copies ? copyOf(draft) : draft;
  }, [id, isReady]);
  return (
    <Page
      title={copies ? "New automation" : "Automation"}
      from={ALL}
      tools={
        !copies && (
          <a class="button" href={link("activity", { automation: id })}>
            Its activity
          </a>
        )
      }
    >
      <Problem text={error ?? (row === null ? "There is no such automation." : undefined)} />
      {!start && !error && row !== null && <Loading />}
      {start && caller.value && (mayEdit.value ? <Builder key={id} start={start} /> : <Reading draft={start} />)}
    </Page>
  );
}
