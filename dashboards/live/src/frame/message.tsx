import { say } from "@metrica/shared/say/index.ts";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { addressOf } from "../router.ts";
import { needNoConnection } from "./connection.ts";
import { Title } from "./title.tsx";

/** A page that has nothing to show but why, and the way out. */
export function Message({ title, children }: { title: string; children?: ComponentChildren }) {
  useEffect(needNoConnection, []);
  return (
    <section class="card message-page" data-testid="nothing-here">
      <Title tab={`${title} · Metrica`}>{title}</Title>
      {children}
      <p>
        <a href={addressOf({ page: "stores" })}>{say.toStores}</a>
      </p>
    </section>
  );
}
