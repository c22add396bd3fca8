import { api, type Camera } from "@metrica/shared/api/client.ts";
import type { components } from "@metrica/shared/api/schema.ts";
import { say, sayMoment, sayTenths } from "@metrica/shared/say/index.ts";
import { useEffect, useState } from "preact/hooks";

type Health = components["schemas"]["HealthPage"];

const MOST = 30;

/** How a camera did in the last week: what its services said, the newest first. Asked for while somebody looks. */
export function Week({ camera, timeZone }: { camera: Camera; timeZone: string }) {
  const [open, setOpen] = useState(false);
  const [health, setHealth] = useState<Health | null>(null);
  useEffect(() => {
    if (!open) return;
    const params = { path: { camera: camera.id }, query: { limit: MOST } };
    void api
      .GET("/v1/cameras/{camera}/health", { params })
      .catch(() => ({ data: undefined }))
      .then(({ data }) => data && setHealth(data));
  }, [open, camera.id, camera.statuses]);
  const part = health?.uptime;
  return (
    <details class="health" data-testid="health" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{say.lastWeek}</summary>
      <p class="uptime" data-testid="uptime">
        {health && (part === null || part === undefined ? say.nothingSaid : say.uptime(sayTenths(100 * part)))}
      </p>
      <ol>
        {health?.items.map(({ at, service, state, message }) => (
          <li key={`${at} ${service}`}>
            <time dateTime={at}>{sayMoment(Date.parse(at), timeZone)}</time>
            <span class="state" data-tone={state === "running" ? "good" : undefined}>
              {say.serviceState(service, say.states[state] ?? state)}
            </span>
            {message && <span class="said">{message}</span>}
          </li>
        ))}
      </ol>
    </details>
  );
}
