import { useState } from "preact/hooks";
import { FLOWS } from "../api/documents";
import { useLive } from "../api/live";
import type { FlowRow } from "../api/rows";
import { Choice } from "../parts/blank";
import { Icon } from "../parts/icon";
import { Problem } from "../parts/page";
import type { Named } from "./draft";

interface FlowPickerProps {
  chosen: Named[];
  onChange: (flows: Named[]) => void;
  single?: boolean;
  onDone: () => void;
}

/** Flows by name, searched by the server as one types. Enter takes the first. */
export function FlowPicker({ chosen, onChange, single, onDone }: FlowPickerProps) {
  const [text, setText] = useState("");
  const name = text.trim() ? `%${text.trim().replace(/[%_\\]/g, "\\$&")}%` : null;
  const { data, error } = useLive<{ flow: FlowRow[] }>(FLOWS, { name });
  const isChosen = (id: string) => chosen.some((flow) => flow.id === id);
  const toggle = (flow: FlowRow) => {
    const named = { id: flow.flow_group_id, name: flow.name };
    if (single) {
      onChange([named]);
      onDone();
    } else {
      onChange(isChosen(named.id) ? chosen.filter((item) => item.id !== named.id) : [...chosen, named]);
    }
  };
  const rows = data?.flow ?? [];
  return (
    <>
      <label class="search">
        <Icon name="search" />
        <input
          type="search"
          value={text}
          placeholder="Search flows by name"
          aria-label="Search flows by name"
          autocomplete="off"
          autofocus
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            const first = rows[0];
            if (event.key !== "Enter" || !first || !text.trim()) return;
            event.preventDefault();
            if (!isChosen(first.flow_group_id)) toggle(first);
            onDone();
          }}
        />
      </label>
      <Problem text={error} />
      <div class="choices" role="group" aria-label="Flows">
        {rows.map((flow) => (
          <Choice
            key={flow.flow_group_id}
            label={flow.name}
            hint={flow.project?.name}
            chosen={isChosen(flow.flow_group_id)}
            onChoose={() => toggle(flow)}
          />
        ))}
      </div>
      {data && !rows.length && (
        <p class="quiet">{text ? `No flow’s name has “${text}” in it.` : "No flow is registered yet. “Any flow” works from the first one on."}</p>
      )}
    </>
  );
}
