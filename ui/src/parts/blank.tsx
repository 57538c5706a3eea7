import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

interface BlankProps {
  /** What is chosen here, for people who do not see the sentence. */
  label: string;
  value: string;
  empty?: boolean;
  locked?: boolean;
  /** Looks like a button, not like a word of a sentence. */
  plain?: boolean;
  startOpen?: boolean;
  children: (close: () => void) => ComponentChildren;
}

/** A blank of the sentence: a button that opens its choices beside it. */
export function Blank({ label, value, empty, locked, plain, startOpen, children }: BlankProps) {
  const [open, setOpen] = useState(Boolean(startOpen));
  const id = useId();
  const root = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  useEffect(() => {
    if (!open) return;
    const box = panel.current;
    const first = ["[autofocus]", "[aria-pressed=true]", "input, button"].map((what) => box?.querySelector<HTMLElement>(what));
    first.find(Boolean)?.focus({ preventScroll: true });
    if (box) {
      const { left, width } = box.getBoundingClientRect();
      const over = left + width - document.documentElement.clientWidth + 12;
      if (over > 0) box.style.left = `${-Math.min(over, left - 12)}px`;
      box.scrollIntoView({ block: "nearest" });
    }
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && open) {
      event.stopPropagation();
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!open || event.target instanceof HTMLTextAreaElement) return;
      if (event.target instanceof HTMLInputElement && event.target.type === "number") return;
      const stops = [...(panel.current?.querySelectorAll<HTMLElement>("input, button:not(:disabled), a") ?? [])];
      const next = stops.indexOf(event.target as HTMLElement) + (event.key === "ArrowDown" ? 1 : -1);
      stops[next]?.focus();
      event.preventDefault();
    }
  };

  return (
    <span class={plain ? "opener" : "blank"} ref={root} onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        class={plain ? "plain" : empty ? "word empty" : "word"}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={plain ? undefined : `${label}: ${value}`}
        disabled={locked}
        onClick={() => setOpen(!open)}
      >
        {value}
      </button>
      {open && (
        <div class="panel" id={id} ref={panel} role="dialog" aria-label={label}>
          {children(close)}
        </div>
      )}
    </span>
  );
}

interface ChoiceProps {
  label: string;
  hint?: string | undefined;
  chosen?: boolean;
  onChoose: () => void;
  children?: ComponentChildren;
}

export function Choice({ label, hint, chosen, onChoose, children }: ChoiceProps) {
  return (
    <button type="button" class="choice" aria-pressed={chosen ?? undefined} onClick={onChoose}>
      {children}
      <span>
        <b>{label}</b>
        {hint && <small>{hint}</small>}
      </span>
    </button>
  );
}
