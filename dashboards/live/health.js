// How a camera did in the last week: what its services said, the newest first. Asked for while somebody looks.

import { STATES, sayMoment } from "./format.js";
import { ask } from "./session.js";

const MOST = 30;

export class Health {
  constructor(details, camera, timeZone) {
    Object.assign(this, { details, camera, timeZone });
    details.addEventListener("toggle", () => this.refresh());
  }

  async refresh() {
    if (!this.details.open) return;
    const answer = await ask(`/v1/cameras/${encodeURIComponent(this.camera)}/health?limit=${MOST}`).catch(() => null);
    if (!answer?.ok) return;
    const { uptime, items } = await answer.json();
    const part = uptime === null ? "Nothing was said." : `Counting ${(100 * uptime).toFixed(1)} % of the time`;
    this.details.querySelector(".uptime").textContent = part;
    this.details.querySelector("ol").replaceChildren(...items.map((one) => this.item(one)));
  }

  item({ at, service, state, message }) {
    const item = document.createElement("li");
    item.innerHTML = '<time></time> <span class="state"></span> <span class="said"></span>';
    const [words, tone] = STATES[state];
    item.querySelector("time").textContent = sayMoment(Date.parse(at), this.timeZone);
    item.querySelector(".state").textContent = `${service}: ${words.toLowerCase()}`;
    item.querySelector(".state").dataset.tone = tone;
    item.querySelector(".said").textContent = message;
    return item;
  }
}
