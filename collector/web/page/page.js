// Polls /api/status and shows it. All texts are set as text nodes, so that no text from a vendor is executed.

import { Stream, keyOf } from "./stream.js";
import { html, setText } from "./timeline.js";
import { ago, counted, dateTime, duration, nameOf, number, placeText, summary, timeOfDay, zone } from "./texts.js";

const REFRESH_MS = 5000;
const HIDDEN_REFRESH_MS = 30000;
const TIMEOUT_MS = 15000;

const byId = (id) => document.getElementById(id);
const items = new Map(); // one Stream for each configured stream, by key: its element is moved, never recreated
let status = null; // the latest response of /api/status
let receivedAt = Date.now(); // when it arrived, in milliseconds since 1970
let unreachableSince = null; // when the first request failed after the latest response

async function refresh() {
  try {
    const response = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    status = await response.json();
    receivedAt = Date.now();
    unreachableSince = null;
  } catch {
    unreachableSince ??= Date.now();
  }
  const focused = document.activeElement;
  if (status) showStatus(Date.parse(status.now));
  showSummary();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

/** Show the summary, also as the title and as the text that screen readers announce. */
function showSummary() {
  const { code, tone, headline, details } = unreachableSince ? unreachable() : summary(status, Date.parse(status.now));
  byId("summary").dataset.tone = tone;
  byId("summary").dataset.code = code;
  document.body.classList.toggle("stale", Boolean(unreachableSince));
  setText(byId("headline"), headline);
  fill(byId("details"), details, "p");
  setText(byId("announcement"), headline);
  document.title = `${tone === "bad" || tone === "warn" ? "⚠ " : ""}${headline} · collector`;
  const icon = tone === "bad" ? "page/icon-error.svg" : "page/icon.svg";
  const link = document.querySelector("link[rel=icon]");
  if (link.getAttribute("href") !== icon) link.setAttribute("href", icon);
}

function unreachable() {
  const elapsed = Date.now() - unreachableSince < 1000 ? "" : ` (${duration((Date.now() - unreachableSince) / 1000)})`;
  const details = [`No response since ${timeOfDay(unreachableSince)}${elapsed}. This page retries automatically.`];
  if (status) details.push(`The data below is out of date: it was received at ${timeOfDay(receivedAt)}.`);
  return { code: "unreachable", tone: "bad", headline: "The collector does not respond", details };
}

function showStatus(now) {
  const started = status.started ? Date.parse(status.started) : null;
  const uptime = started ? ` · up ${duration((now - started) / 1000)}` : "";
  setText(byId("about"), `version ${status.version} · group ${status.group}${uptime}`);
  setText(byId("updated"), `Updated at ${timeOfDay(receivedAt)}. Times are in ${zone}.`);
  showStreams(started, now);
  showNotOwned(status.streams.filter((stream) => stream.state === "not_owned"));
  showKafka(now);
  showPlaces(status.sources.filter((source) => source.places), now);
  showExports(status.sources.filter((source) => source.exports));
  showProxies(status.sources.filter((source) => source.proxy));
}

const SECTIONS = {
  parked: ["parked"],
  backing_off: ["backing_off"],
  running: ["live", "catching_up", "restoring", "paused"],
  complete: ["complete"],
};

function showStreams(started, now) {
  const keys = new Set(status.streams.map(keyOf));
  for (const [key, item] of items) {
    if (!keys.has(key)) {
      item.element.remove();
      items.delete(key);
    }
  }
  for (const [id, states] of Object.entries(SECTIONS)) {
    const streams = status.streams.filter((stream) => states.includes(stream.state));
    const elements = streams.map((stream) => {
      const key = keyOf(stream);
      if (!items.has(key)) items.set(key, new Stream(stream));
      items.get(key).show(stream, started, now);
      return items.get(key).element;
    });
    byId(id).hidden = !streams.length;
    arrange(byId(id).querySelector("ul"), elements);
  }
  byId("legend").hidden = !document.querySelector("#streams .timeline:not([hidden])");
}

function showNotOwned(streams) {
  const section = byId("not_owned");
  section.hidden = !streams.length;
  const count = counted(streams.length, "stream");
  setText(section.querySelector("summary"), status.ready ? `${count} owned by other replicas` : `${count} not running here`);
  setText(
    section.querySelector(".explanation"),
    status.ready
      ? "Another replica owns these streams, or this replica is about to take them over. The status page of the owner shows their status."
      : "The owner is not known while this replica cannot use Kafka. The streams continue from where they stopped.",
  );
  fill(section.querySelector(".names"), streams.map(nameOf), "li");
}

const KAFKA_STATES = {
  ready: "ready",
  joining: "available, joining the consumer group",
  no_coordinator: "available, except for the group coordinator",
  refused: "available, but not usable",
  away: "unavailable",
  connecting: "connecting",
};

function showKafka(now) {
  const { state, last_commit: lastCommit } = status.kafka;
  const partitions = status.owned_partitions;
  byId("kafka").hidden = false;
  byId("kafka").dataset.state = state;
  document.body.dataset.kafka = state;
  setText(byId("kafka-state"), KAFKA_STATES[state] ?? state);
  setText(byId("partitions"), partitions.length ? `${partitions.length}: ${partitions.join(", ")}` : "none");
  setText(byId("last-commit"), lastCommit ? `${ago(Date.parse(lastCommit), now)}, ${dateTime(Date.parse(lastCommit), now)}` : "none yet");
}

/** Show how many places of each source are in each state, and list the worst ones. */
function showPlaces(sources, now) {
  byId("places").hidden = !sources.length;
  const elements = sources.map(({ source, places }) => {
    const counts = Object.entries(places.counts).filter(([, count]) => count);
    const text = counts.map(([state, count]) => `${number(count)} ${state}`).join(", ") || "none";
    const seen = ` (${ago(Date.parse(places.seen_at), now)})`;
    const worst = places.worst.map((place) => html("li", "", placeText(place)));
    const list = worst.length ? [html("ul", "worst", ...worst)] : [];
    return html("li", "", html("b", "", source), ` ${text}${seen}`, ...list);
  });
  byId("places").querySelector("ul").replaceChildren(...elements);
}

function showExports(sources) {
  byId("exports").hidden = !sources.length;
  const elements = sources.map(({ source, exports: { in_flight: running, at_once: max } }) => {
    const slots = html("span", "slots");
    slots.setAttribute("aria-hidden", "true");
    for (let slot = 0; slot < max; slot += 1) slots.append(html("i", slot < running ? "used" : ""));
    return html("li", "", html("b", "", source), " ", slots, ` ${running} of ${max} running`);
  });
  byId("exports").querySelector("ul").replaceChildren(...elements);
}

function showProxies(sources) {
  byId("proxies").hidden = !sources.length;
  const elements = sources.map(({ source, proxy }) => html("li", "", html("b", "", source), ` ${proxy}`));
  byId("proxies").querySelector("ul").replaceChildren(...elements);
}

/** Make these elements the children of the list, in this order. Moves only what it must: a moved element loses focus. */
function arrange(list, elements) {
  const wanted = new Set(elements);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  elements.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

/** Make the children of the parent one element for each text. */
function fill(parent, texts, tag) {
  while (parent.children.length > texts.length) parent.lastElementChild.remove();
  texts.forEach((text, index) => setText(parent.children[index] ?? parent.appendChild(html(tag)), text));
}

/** Refresh until the page is closed. A hidden page refreshes less often: only its title and icon can be seen. */
async function poll() {
  for (;;) {
    await refresh();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, document.hidden ? HIDDEN_REFRESH_MS : REFRESH_MS);
      document.addEventListener("visibilitychange", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }
}

poll();
