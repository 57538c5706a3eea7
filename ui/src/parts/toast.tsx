import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "bad";
  button?: { label: string; run: () => void };
  /** Called where it goes away without the button. */
  done?: () => void;
}

const TOAST_MS = 8000;
const toasts = signal<Toast[]>([]);
let made = 0;

export function toast(text: string, more: Partial<Omit<Toast, "id" | "text">> = {}): void {
  toasts.value = [...toasts.value, { id: ++made, text, tone: "plain", ...more }];
}

export function dismiss(item: Toast, byButton = false): void {
  if (!toasts.value.includes(item)) return;
  toasts.value = toasts.value.filter((other) => other !== item);
  if (!byButton) item.done?.();
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((item) => (
        <ToastView key={item.id} item={item} />
      ))}
    </div>
  );
}

function ToastView({ item }: { item: Toast }) {
  const timer = useRef(0);
  const wait = () => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => dismiss(item), TOAST_MS);
  };
  const hold = () => clearTimeout(timer.current);
  useEffect(() => {
    wait();
    return hold;
  }, []);
  return (
    <div class={`toast ${item.tone}`} onMouseEnter={hold} onMouseLeave={wait} onFocusCapture={hold} onBlurCapture={wait}>
      <span>{item.text}</span>
      {item.button && (
        <button
          type="button"
          class="link"
          onClick={() => {
            item.button?.run();
            dismiss(item, true);
          }}
        >
          {item.button.label}
        </button>
      )}
      <button type="button" class="bare" aria-label="Dismiss" onClick={() => dismiss(item)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
