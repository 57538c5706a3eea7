import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon";

interface PageProps {
  title: string;
  tools?: ComponentChildren;
  /** The list that it is one of. */
  from?: { name: string; to: string };
  children: ComponentChildren;
}

let isFirst = true;

/** One view: its heading has the focus once somebody came here, so that a screen reader says where they are. */
export function Page({ title, tools, from, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Automations`;
    if (!isFirst) heading.current?.focus({ preventScroll: true });
    isFirst = false;
  }, [title]);
  return (
    <>
      {from && (
        <a class="back" href={from.to}>
          <Icon name="right" />
          {from.name}
        </a>
      )}
      <div class="head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {tools}
      </div>
      {children}
    </>
  );
}

export function Problem({ text }: { text: string | undefined }) {
  return text ? (
    <p class="problem" role="alert">
      {text}
    </p>
  ) : null;
}

/** Something is on its way; it shows only where that takes a while. */
export function Loading() {
  return (
    <div class="loading" role="status" aria-label="Loading …">
      <i />
      <i />
      <i />
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}
