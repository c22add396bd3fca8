// Shows /asyncapi.json readably: each subject, stream and KV bucket, with its senders and receivers.

import { code, inWords, make, openNamed, schema, table } from "../page.js";

const channels = document.getElementById("channels");
const last = (reference) => reference.$ref.split("/").pop();

function kept(channel) {
  const { name, ...limits } = channel["x-jetstream"] ?? {};
  const { bucket, ...settings } = channel["x-kv"] ?? {};
  const rows = Object.entries(name ? limits : settings).map(([limit, value]) => [limit, String(value)]);
  rows.unshift([name ? "stream" : "bucket", code(name ?? bucket ?? "")]);
  const runs = channel["x-jetstream-of-runs"];
  if (runs) rows.push(["stream of another run", code(runs)]);
  return name || bucket ? table(["Setting", "Value"], rows) : make("p", { text: "At most once: no stream keeps it (core NATS)." });
}

function message(one) {
  const rows = Object.entries(one.headers?.properties ?? {}).map(([header, field]) => [
    code(header),
    one.headers.required?.includes(header) ? "required" : "",
    inWords(field),
    field.description ?? "",
  ]);
  const body = make("p", {}, code(one.contentType ?? "any"), " ", inWords(one.payload), ` ${one.payload.description ?? ""}`);
  return rows.length ? [body, make("h4", { text: "Headers" }), table(["Name", "", "Type", "Meaning"], rows)] : [body];
}

function channel(name, one, operations, messages) {
  const services = (action) =>
    operations.filter((each) => each.action === action && last(each.channel) === name).map((each) => each.tags[0].name);
  const senders = services("send");
  const receivers = services("receive");
  const parameters = Object.entries(one.parameters ?? {}).map(([parameter, { description }]) => [code(parameter), description]);
  const body = make(
    "div",
    { className: "body" },
    make("p", { className: "description", text: one.description }),
    table(["Senders", "Receivers"], [[senders.join(", ") || "none", receivers.join(", ") || "none"]]),
    ...(parameters.length ? [make("h4", { text: "Parameters" }), table(["Name", "Meaning"], parameters)] : []),
    make("h4", { text: "Message" }),
    ...message(messages[last(Object.values(one.messages)[0])]),
    make("h4", { text: "Kept" }),
    kept(one),
  );
  const head = make("summary", {}, code(one.address), make("span", { className: "said", text: `${senders.join(", ")} → ${receivers.join(", ")}` }));
  return make("details", { id: name, "data-testid": "channel" }, head, body);
}

async function show() {
  const bus = await (await fetch("../../asyncapi.json")).json();
  document.getElementById("title").textContent = `${bus.info.title} events, version ${bus.info.version}`;
  document.getElementById("summary").textContent = bus.info.description;
  const operations = Object.values(bus.operations);
  const { messages, schemas } = bus.components;
  // A message's schema is named where it is one of the models; its fields stand under "schemas".
  for (const [name, one] of Object.entries(messages)) if (one.payload.properties) schemas[name] ??= one.payload;
  for (const one of Object.values(messages)) {
    const name = Object.keys(schemas).find((each) => schemas[each] === one.payload);
    if (name) one.payload = { $ref: `#/components/schemas/${name}` };
  }
  const all = Object.entries(bus.channels).map(([name, one]) => [name, channel(name, one, operations, messages)]);
  const of = (wanted) => all.filter(([name]) => name.startsWith("kv_") === wanted).map(([, made]) => made);
  channels.replaceChildren(make("h2", { text: "subjects" }), ...of(false), make("h2", { text: "KV buckets" }), ...of(true));
  channels.append(make("h2", { text: "schemas" }), ...Object.entries(schemas).map(([name, one]) => schema(name, one)));
  channels.setAttribute("aria-busy", "false");
  addEventListener("hashchange", openNamed);
  openNamed();
}

show().catch((error) => channels.replaceChildren(make("p", { text: `/asyncapi.json cannot be read: ${error.message}` })));
