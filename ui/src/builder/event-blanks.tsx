import { useState } from "preact/hooks";
import { AGENT_CONFIGS, CREATE_AGENT_CONFIG } from "../api/documents";
import { messageOf, request } from "../api/client";
import { useLive } from "../api/live";
import type { AgentConfigRow, StateGroup } from "../api/rows";
import { Blank, Choice } from "../parts/blank";
import { Problem } from "../parts/page";
import { counted, lengthInWords } from "../words";
import { PROBLEMS, STATES } from "./catalog";
import { lengthWords, subjectWords, verbWords, type Draft } from "./draft";
import { FlowPicker } from "./flow-picker";

interface BlankProps {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
}

/** The "when" half of the sentence, with its blanks. */
export function EventBlanks({ draft, onChange }: BlankProps) {
  return (
    <>
      {draft.subject === "flows" ? "When a run of " : "When "}
      <Subject draft={draft} onChange={onChange} /> <Verb draft={draft} onChange={onChange} />
      {lengthWords(draft) && (
        <>
          {draft.subject === "agents" ? " for " : " within "}
          <Length draft={draft} onChange={onChange} />
        </>
      )}
    </>
  );
}

const SUBJECTS: { name: Draft["subject"]; label: string }[] = [
  { name: "flows", label: "Runs of flows" },
  { name: "agents", label: "Agents" },
  { name: "server", label: "Server" },
];

function Subject({ draft, onChange }: BlankProps) {
  const { subject } = draft;
  return (
    <Blank
      label="What to watch"
      value={subjectWords(draft)}
      empty={subject === "agents" && !draft.configs.length}
      locked={draft.verb === "kept"}
    >
      {(close) => (
        <>
          <div class="tabs" role="group" aria-label="Kind">
            {SUBJECTS.map(({ name, label }) => (
              <button key={name} type="button" aria-pressed={subject === name} onClick={() => onChange({ subject: name })}>
                {label}
              </button>
            ))}
          </div>
          {subject === "agents" && <AgentChoices draft={draft} onChange={onChange} />}
          {subject === "server" && (
            <p class="quiet">Automations itself: work that is late, destinations that fail, secrets that are missing.</p>
          )}
          {subject === "flows" && (
            <>
              <FlowPicker chosen={draft.flows} onChange={(flows) => onChange({ flows })} onDone={close} />
              <Choice
                label="Any flow"
                hint="Those that come later too"
                chosen={!draft.flows.length}
                onChoose={() => {
                  onChange({ flows: [] });
                  close();
                }}
              />
            </>
          )}
          <button type="button" class="done" onClick={close}>
            Done
          </button>
        </>
      )}
    </Blank>
  );
}

function AgentChoices({ draft, onChange }: BlankProps) {
  const { data, error, refresh } = useLive<{ agent_config: AgentConfigRow[] }>(AGENT_CONFIGS);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string>();
  const isChosen = (id: string) => draft.configs.some((config) => config.id === id);
  const toggle = (id: string, label: string) => {
    const configs = isChosen(id) ? draft.configs.filter((item) => item.id !== id) : [...draft.configs, { id, name: label }];
    onChange({ configs });
  };
  const create = async () => {
    if (!name.trim()) return;
    try {
      const made = await request<{ create_agent_config: { id: string } }>(CREATE_AGENT_CONFIG, { input: { name: name.trim() } });
      toggle(made.create_agent_config.id, name.trim());
      setName("");
      refresh();
    } catch (reason) {
      setProblem(messageOf(reason));
    }
  };
  return (
    <>
      <div class="choices" role="group" aria-label="Agent configs">
        {data?.agent_config.map((config) => {
          const label = config.name ?? `config ${config.id.slice(0, 8)}`;
          return (
            <Choice
              key={config.id}
              label={label}
              hint={counted(config.agents.length, "agent")}
              chosen={isChosen(config.id)}
              onChoose={() => toggle(config.id, label)}
            />
          );
        })}
      </div>
      <p class="quiet">Agents are watched in groups: those that were started with the same agent config.</p>
      <div class="row">
        <input
          aria-label="Name of a new agent config"
          placeholder="New agent config"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") void create();
          }}
        />
        <button type="button" onClick={create} disabled={!name.trim()}>
          Add
        </button>
      </div>
      <Problem text={error ?? problem} />
    </>
  );
}

const GROUPS: { group: StateGroup; label: string; hint: string }[] = [
  { group: "FAILED", label: "fails", hint: "Failed, TimedOut, TriggerFailed" },
  { group: "SUCCESS", label: "succeeds", hint: "Success, Cached, Mapped, Skipped" },
  { group: "FINISHED", label: "ends, well or badly", hint: "Every last state, Cancelled too" },
  { group: "ALL", label: "changes its state", hint: "Every state" },
];

function Verb({ draft, onChange }: BlankProps) {
  const [states, showStates] = useState(draft.states.length > 0);
  if (draft.subject === "agents") return <AgentVerb draft={draft} onChange={onChange} />;
  if (draft.subject === "server") return <ServerVerb draft={draft} onChange={onChange} />;
  const toggle = (state: string) => {
    const chosen = draft.states.includes(state) ? draft.states.filter((item) => item !== state) : [...draft.states, state];
    onChange({ verb: "enters", group: null, states: chosen });
  };
  return (
    <Blank
      label="What happens"
      value={verbWords(draft)}
      empty={draft.verb === "enters" && !draft.group && !draft.states.length}
      locked={draft.verb === "kept"}
    >
      {(close) => {
        const choose = (change: Partial<Draft>) => {
          onChange(change);
          showStates(false);
          close();
        };
        return (
          <>
            {GROUPS.map(({ group, label, hint }) => (
              <Choice
                key={group}
                label={label}
                hint={hint}
                chosen={draft.verb === "enters" && draft.group === group}
                onChoose={() => choose({ verb: "enters", group, states: [] })}
              />
            ))}
            <hr />
            <Choice
              label="does not start in time"
              hint="After its scheduled start"
              chosen={draft.verb === "not_started"}
              onChoose={() => choose({ verb: "not_started" })}
            />
            <Choice
              label="does not finish in time"
              hint="After it began to run"
              chosen={draft.verb === "not_finished"}
              onChoose={() => choose({ verb: "not_finished" })}
            />
            <hr />
            <button type="button" class="choice" aria-expanded={states} onClick={() => showStates(!states)}>
              <span>
                <b>enters certain states …</b>
              </span>
            </button>
            {states && (
              <>
                <div class="pills" role="group" aria-label="States">
                  {STATES.map((state) => (
                    <button key={state} type="button" aria-pressed={draft.states.includes(state)} onClick={() => toggle(state)}>
                      {state}
                    </button>
                  ))}
                </div>
                <button type="button" class="done" onClick={close}>
                  Done
                </button>
              </>
            )}
          </>
        );
      }}
    </Blank>
  );
}

function AgentVerb({ draft, onChange }: BlankProps) {
  return (
    <Blank label="What happens" value={verbWords(draft)}>
      {(close) => (
        <>
          <Choice
            label="go quiet"
            hint="No agent asks for work"
            chosen={draft.minHealthy === 1}
            onChoose={() => {
              onChange({ minHealthy: 1 });
              close();
            }}
          />
          <label class="inline">
            fewer than
            <input
              type="number"
              min="1"
              max="1000"
              value={draft.minHealthy}
              onInput={(event) => onChange({ minHealthy: Math.max(1, Math.round(event.currentTarget.valueAsNumber) || 1) })}
            />
            ask for work
          </label>
          <button type="button" class="done" onClick={close}>
            Done
          </button>
        </>
      )}
    </Blank>
  );
}

function ServerVerb({ draft, onChange }: BlankProps) {
  const { problems } = draft;
  const toggle = (problem: string) => {
    onChange({ problems: problems.includes(problem) ? problems.filter((item) => item !== problem) : [...problems, problem] });
  };
  return (
    <Blank label="What happens" value={verbWords(draft)}>
      {(close) => (
        <>
          <Choice
            label="has a problem"
            hint="Any, those that later versions find too"
            chosen={!problems.length}
            onChoose={() => {
              onChange({ problems: [] });
              close();
            }}
          />
          <hr />
          {Object.entries(PROBLEMS).map(([problem, words]) => (
            <Choice key={problem} label={words} chosen={problems.includes(problem)} onChoose={() => toggle(problem)} />
          ))}
          <button type="button" class="done" onClick={close}>
            Done
          </button>
        </>
      )}
    </Blank>
  );
}

const LENGTHS = [60, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
const UNITS = [
  { name: "seconds", size: 1 },
  { name: "minutes", size: 60 },
  { name: "hours", size: 3600 },
  { name: "days", size: 86_400 },
];

function Length({ draft, onChange }: BlankProps) {
  const agents = draft.subject === "agents";
  const seconds = agents ? draft.quietSeconds : draft.seconds;
  const set = (value: number) => onChange(agents ? { quietSeconds: value } : { seconds: value });
  const [unit, setUnit] = useState(() => UNITS.findLast((item) => seconds % item.size === 0)?.size ?? 1);
  return (
    <Blank label="How long" value={lengthInWords(seconds)}>
      {(close) => (
        <>
          <div class="pills">
            {LENGTHS.map((length) => (
              <button
                key={length}
                type="button"
                aria-pressed={length === seconds}
                onClick={() => {
                  set(length);
                  close();
                }}
              >
                {lengthInWords(length)}
              </button>
            ))}
          </div>
          <div class="row">
            <input
              type="number"
              min="1"
              aria-label="Another length"
              value={seconds / unit}
              onInput={(event) => set(Math.max(1, Math.round((event.currentTarget.valueAsNumber || 1) * unit)))}
              onKeyDown={(event) => {
                if (event.key === "Enter") close();
              }}
            />
            <select aria-label="Unit" value={unit} onChange={(event) => {
                const size = Number(event.currentTarget.value);
                set(Math.max(1, Math.round(seconds / unit)) * size);
                setUnit(size);
              }}>
              {UNITS.map((item) => (
                <option key={item.size} value={item.size}>
                  {item.name}
                </option>
              ))}
            </select>
          </div>
          <button type="button" class="done" onClick={close}>
            Done
          </button>
        </>
      )}
    </Blank>
  );
}
