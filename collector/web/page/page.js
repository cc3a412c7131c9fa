// Polls /api/status and shows it.

import { fill, setText } from "./dom.js";
import { showConfig, showKafka, showNotices, showSources } from "./facts.js";
import { Streams } from "./streams.js";
import { summary } from "./summary.js";
import { counted, duration, servers, timeOfDay, zone } from "./texts.js";

const REFRESH_MS = 5000;
const HIDDEN_REFRESH_MS = 30000;
const TIMEOUT_MS = 15000;
const MIN_SEARCHED = 6; // with fewer streams, there is nothing to search for
const ICONS = { good: "page/icon.svg", bad: "page/icon-error.svg" };

const byId = (id) => document.getElementById(id);
const streams = new Streams();
let status = null; // the latest response of /api/status
let receivedAt = Date.now(); // when it arrived, in milliseconds since 1970
let announced = ""; // the last headline that screen readers announced
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
  if (headline !== announced) setText(byId("announcement"), headline); // a search may have been announced since
  announced = headline;
  document.title = `${tone === "bad" || tone === "warn" ? "⚠ " : ""}${headline} · collector`;
  const icon = ICONS[tone] ?? "page/icon-neutral.svg";
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
  const facts = [status.host, `version ${status.version}`, `group ${status.group}`];
  if (status.kafka.bootstrap_servers) facts.push(`Kafka ${servers(status.kafka.bootstrap_servers)}`);
  if (started) facts.push(`up ${duration((now - started) / 1000)}`);
  setText(byId("about"), facts.filter(Boolean).join(" · "));
  setText(byId("updated"), `Updated at ${timeOfDay(receivedAt)}. Times are in ${zone}.`);
  document.body.dataset.kafka = status.kafka.state;
  showConfig(byId("config"), status.config, now);
  streams.show(status, started, now);
  byId("legend").hidden = !document.querySelector("#streams .timeline:not([hidden])");
  const notices = showNotices(byId("notices"), status);
  byId("to-notices").hidden = !notices;
  setText(byId("to-notices"), counted(notices, "notice"));
  showKafka(status, now);
  showSources(byId("sources"), status.sources, now);
  byId("tools").hidden = status.streams.length < MIN_SEARCHED && !notices;
  showFound();
}

/** Show how many streams match the search. */
function showFound(isAnnounced = false) {
  const query = byId("search").value.trim();
  const found = streams.search(query);
  const text = query ? `${found} of ${counted(status.streams.length, "stream")}` : "";
  setText(byId("found"), text);
  if (isAnnounced) setText(byId("announcement"), text);
  byId("none-found").hidden = !query || found > 0;
}

byId("search").addEventListener("input", () => status && showFound(true));
byId("search").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  byId("search").value = "";
  if (status) showFound();
});

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
