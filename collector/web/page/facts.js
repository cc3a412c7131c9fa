// What is shown below the streams, and the configuration that was refused.

import { breakable, fill, html, setText } from "./dom.js";
import { ago, counted, dateTime, nameOf, number, placeText, servers } from "./texts.js";

const byId = (id) => document.getElementById(id);
const MAX_NAMES = 6; // of the streams that a notice is about
const KAFKA_STATES = {
  ready: "ready",
  joining: "available, joining the consumer group",
  no_coordinator: "available, except for the group coordinator",
  refused: "available, but not usable",
  away: "unavailable",
  connecting: "connecting",
};

/** Show the configuration that was refused, if one was. */
export function showConfig(section, config, now) {
  const isRefused = Boolean(config?.refused_at);
  section.hidden = !isRefused;
  if (!isRefused) return;
  const at = Date.parse(config.refused_at);
  setText(section.querySelector("h2"), `Configuration refused at ${dateTime(at, now)} (${ago(at, now)})`);
  fill(section.querySelector("ul"), (config.errors ?? []).map(String), "li");
}

/** Show each notice once, with the sources and streams that it is about. Returns how many there are. */
export function showNotices(section, { sources, streams, notices: ofProcess }) {
  const notices = new Map(); // the names by the text of the notice
  const add = (name, texts) => {
    for (const text of texts) notices.set(text, [...(notices.get(text) ?? []), name]);
  };
  add("this replica", ofProcess ?? []);
  for (const { source, notices: texts } of sources) add(source, texts ?? []);
  for (const stream of streams) if (stream.state !== "not_owned") add(nameOf(stream), stream.notices);
  section.hidden = !notices.size;
  const drawn = JSON.stringify([...notices]);
  if (section.dataset.drawn === drawn) return notices.size;
  section.dataset.drawn = drawn;
  const items = [...notices].map(([text, names]) => {
    const more = names.length > MAX_NAMES ? ` and ${number(names.length - MAX_NAMES)} more` : "";
    const shown = `${names.slice(0, MAX_NAMES).join(" · ")}${more}`;
    return html("li", "", html("p", "origin", ...breakable(shown)), html("p", "", text));
  });
  section.querySelector("ul").replaceChildren(...items);
  return notices.size;
}

/** Show the connection to Kafka, and which replica owns how many partitions. */
export function showKafka(status, now) {
  const { state, last_commit: lastCommit, bootstrap_servers: address } = status.kafka;
  const partitions = status.owned_partitions;
  byId("kafka").hidden = false;
  byId("kafka").dataset.state = state;
  setText(byId("kafka-state"), KAFKA_STATES[state] ?? state);
  setText(byId("address"), address ? servers(address) : "not known");
  setText(byId("group"), status.group);
  setText(byId("partitions"), partitions.length ? `${partitions.length}: ${partitions.join(", ")}` : "none");
  setText(byId("owners"), ownersText(status));
  setText(byId("last-commit"), lastCommit ? `${ago(Date.parse(lastCommit), now)}, ${dateTime(Date.parse(lastCommit), now)}` : "none yet");
}

function ownersText({ host, owners, owners_problem: problem }) {
  const counts = new Map();
  for (const owner of Object.values(owners ?? {})) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const text = [...counts].sort(([one], [other]) => one.localeCompare(other));
  const known = text.map(([owner, count]) => `${owner}${owner === host ? " (this host)" : ""} ${number(count)}`).join(", ");
  if (!problem) return known || "none";
  return known ? `${known}; others not known: ${problem}` : `not known: ${problem}`;
}

/** Show each source: its vendor, host and proxy, its exports, and how many of its places are in each state. */
export function showSources(section, sources, now) {
  section.hidden = !sources.length;
  const items = sources.map(({ vendor, source, host, proxy, exports, places }) => {
    const facts = [vendor, ...(host ? [host] : []), ...(proxy ? [`by the proxy ${proxy}`] : [])].join(" · ");
    const item = html("li", "", html("b", "", ...breakable(source)), " ", html("span", "origin", ...breakable(facts)));
    if (exports) item.append(exportsLine(exports));
    if (places) item.append(...placesLines(places, now));
    return item;
  });
  section.querySelector("ul").replaceChildren(...items);
}

function exportsLine({ in_flight: running, at_once: max }) {
  const slots = html("span", "slots");
  slots.setAttribute("aria-hidden", "true");
  for (let slot = 0; slot < max; slot += 1) slots.append(html("i", slot < running ? "used" : ""));
  return html("p", "exports", slots, ` ${running} of ${counted(max, "export")} running`);
}

function placesLines(places, now) {
  const counts = Object.entries(places.counts).filter(([, count]) => count);
  const text = counts.map(([state, count]) => `${number(count)} ${state}`).join(", ") || "none";
  const line = html("p", "places", `Places: ${text} (${ago(Date.parse(places.seen_at), now)})`);
  const worst = places.worst.map((place) => html("li", "", placeText(place)));
  return worst.length ? [line, html("ul", "worst", ...worst)] : [line];
}
