import { sayNumber } from "@metrica/shared/say/index.ts";
import { useLayoutEffect, useRef } from "preact/hooks";

/** A number that shows that it has changed. */
export function Ticking({ value }: { value: number }) {
  const shown = useRef<HTMLSpanElement>(null);
  const before = useRef(value);
  useLayoutEffect(() => {
    const changed = before.current !== value;
    before.current = value;
    if (!changed || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const tint = getComputedStyle(document.documentElement).getPropertyValue("--in");
    shown.current?.animate([{ color: tint }, {}], { duration: 400, easing: "ease-out" });
  }, [value]);
  return <span ref={shown}>{sayNumber(value)}</span>;
}
