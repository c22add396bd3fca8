import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

let first = true;

interface Props {
  /** What the browser's tab says. */
  tab: string;
  children: ComponentChildren;
  testId?: string;
}

/** The heading of a page. It gets the focus when the page is gone to, so that a screen reader says where one is. */
export function Title({ tab, children, testId }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = tab;
  }, [tab]);
  useEffect(() => {
    if (!first) heading.current?.focus({ preventScroll: true });
    first = false;
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1} data-testid={testId}>
      {children}
    </h1>
  );
}
