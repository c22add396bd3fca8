import { say } from "@metrica/shared/say/index.ts";
import { me } from "@metrica/shared/session.ts";
import { Title } from "../frame/title.tsx";

const COMMAND = "metrica camera set door rtsp://camera.local/stream --line 0.5,0,0.5,1 --in left";

/** What to do where nothing counts: no numbers, because nobody counted, which is not zero. */
export function Empty({ title, page = false }: { title: string; page?: boolean }) {
  const who = me.value;
  const nobodys = who?.user && !who.superadmin && !Object.keys(who.roles).length;
  return (
    <section class="card empty" data-testid="empty">
      {page ? <Title tab={say.storesTitle}>{title}</Title> : <h2>{title}</h2>}
      <p>{nobodys ? say.emptyViewer(who.name) : say.emptyAbout}</p>
      {!nobodys && <pre>{COMMAND}</pre>}
    </section>
  );
}
