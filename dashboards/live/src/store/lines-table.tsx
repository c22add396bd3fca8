import type { LineCount, Store } from "@metrica/shared/api/client.ts";
import { say, sayNumber, sayShare } from "@metrica/shared/say/index.ts";
import { doing, worst } from "../stores/health.tsx";

/** What each line counted, where there are several. */
export function LinesTable({ store, counted }: { store: Store; counted: LineCount[] }) {
  const rows = store.cameras.flatMap((camera) => {
    const state = doing(camera, worst(camera.statuses));
    return camera.lines.map((line) => {
      const count = counted.find((one) => one.camera === camera.id && one.line === line.id);
      return { key: `${camera.id} ${line.id}`, camera, line, state, in: count?.in ?? 0, out: count?.out ?? 0 };
    });
  });
  const total = rows.reduce((sum, row) => sum + row.in, 0);
  if (rows.length < 2) return null;
  return (
    <section class="card lines-table" aria-labelledby="lines-title">
      <h2 id="lines-title">{say.linesTitle}</h2>
      <div class="scrolls">
        <table data-testid="lines">
          <thead>
            <tr>
              <th scope="col">{say.door}</th>
              <th scope="col" class="number">
                {say.in}
              </th>
              <th scope="col" class="number">
                {say.out}
              </th>
              <th scope="col" class="number">
                {say.share}
              </th>
              <th scope="col">{say.state}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.key}>
                <th scope="row">
                  {row.line.name || row.line.id} <span class="quiet">{row.camera.name || row.camera.id}</span>
                </th>
                <td class="number">{sayNumber(row.in)}</td>
                <td class="number">{sayNumber(row.out)}</td>
                <td class="number">{total ? sayShare(row.in / total) : ""}</td>
                <td class="state" data-tone={row.state.tone}>
                  {row.state.words}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
