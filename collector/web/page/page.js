// The page: asks /api/status again and again, and shows what it says. Texts are set as texts: none of them ever acts.

import { Stream, keyOf } from "./stream.js";
import { html, put } from "./strip.js";
import { ago, counted, lasting, moment, nameOf, second, summary, zone } from "./words.js";

const EVERY_MS = 5000;
const HIDDEN_MS = 30000;
const PATIENCE_MS = 15000;

const by = (id) => document.getElementById(id);
const items = new Map(); // the streams' elements, by their names: they are moved, never made anew
let shown = null; // the last answer
let heard = Date.now(); // when it came
let lost = null; // since when there is none

async function ask() {
  try {
    const answer = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    shown = await answer.json();
    heard = Date.now();
    lost = null;
  } catch {
    lost ??= Date.now();
  }
  const held = document.activeElement;
  if (shown) show(shown, Date.parse(shown.now));
  tell();
  if (held !== document.activeElement && held?.isConnected) held.focus({ preventScroll: true });
}

/** The summary, the title, and the one line that is read out: all say the same. */
function tell() {
  const now = shown && Date.parse(shown.now);
  const { tone, headline, details } = lost ? silent() : summary(shown, now);
  by("summary").dataset.tone = tone;
  document.body.classList.toggle("old", Boolean(lost));
  put(by("headline"), headline);
  fill(by("details"), details, "p");
  put(by("told"), headline);
  document.title = `${tone === "bad" || tone === "warn" ? "⚠ " : ""}${headline} · collector`;
  const icon = tone === "bad" ? "page/icon-trouble.svg" : "page/icon.svg";
  const link = document.querySelector("link[rel=icon]");
  if (link.getAttribute("href") !== icon) link.setAttribute("href", icon);
}

function silent() {
  const long = Date.now() - lost < 1000 ? "" : `, for ${lasting((Date.now() - lost) / 1000)}`;
  const since = `No answer since ${second(lost)}${long}. This page goes on asking.`;
  const old = `What is below was so at ${second(heard)}, and is old.`;
  return { tone: "bad", headline: "The collector does not answer", details: shown ? [since, old] : [since] };
}

function show(status, now) {
  const started = status.started ? Date.parse(status.started) : null;
  const up = started ? ` · up ${lasting((now - started) / 1000)}` : "";
  put(by("about"), `version ${status.version} · group ${status.group}${up}`);
  put(by("asked"), `As of ${second(heard)}. Times are those of ${zone}.`);
  streams(status, started, now);
  elsewhere(status.streams.filter((stream) => stream.state === "not_owned"), status.ready);
  kafka(status, now);
  exporting(status.sources.filter((source) => source.exports));
}

const SECTIONS = {
  parked: ["parked"],
  backing_off: ["backing_off"],
  running: ["live", "catching_up", "restoring"],
  complete: ["complete"],
};

function streams(status, started, now) {
  const keys = new Set(status.streams.map(keyOf));
  for (const [key, item] of items) {
    if (!keys.has(key)) {
      item.element.remove();
      items.delete(key);
    }
  }
  for (const [id, states] of Object.entries(SECTIONS)) {
    const there = status.streams.filter((stream) => states.includes(stream.state));
    const elements = there.map((said) => {
      const key = keyOf(said);
      if (!items.has(key)) items.set(key, new Stream(said));
      items.get(key).show(said, started, now);
      return items.get(key).element;
    });
    by(id).hidden = !there.length;
    arrange(by(id).querySelector("ul"), elements);
  }
  by("legend").hidden = !document.querySelector("#streams .strip:not([hidden])");
}

function elsewhere(there, ready) {
  const section = by("not_owned");
  section.hidden = !there.length;
  const many = counted(there.length, "stream");
  put(section.querySelector("summary"), ready ? `${many} with another replica` : `${many} not run here at present`);
  put(
    section.querySelector(".meaning"),
    ready
      ? "Replicas share the accounts. Another one runs these, or this one is just taking them over; how they are stands on the page of the one that runs them."
      : "Without Kafka nobody knows who runs them. They go on from where they were.",
  );
  fill(section.querySelector(".names"), there.map(nameOf), "li");
}

const KAFKA = {
  ready: "answers; the group is joined",
  joining: "answers; the group is being joined",
  no_coordinator: "answers; the group's coordinator does not",
  refused: "answers, but is not as it must be",
  away: "does not answer",
  connecting: "is being connected",
};

function kafka(status, now) {
  const { state, last_commit: last } = status.kafka;
  const owned = status.owned_partitions;
  by("kafka").hidden = false;
  by("kafka").dataset.state = state;
  document.body.dataset.kafka = state;
  put(by("kafka-state"), KAFKA[state] ?? state);
  put(by("partitions"), owned.length ? `${owned.length}: ${owned.join(", ")}` : "none");
  put(by("last-commit"), last ? `${ago(Date.parse(last), now)}, ${moment(Date.parse(last), now)}` : "none yet");
}

function exporting(sources) {
  by("exports").hidden = !sources.length;
  const elements = sources.map(({ source, exports: { in_flight: used, at_once: most } }) => {
    const places = html("span", "places");
    places.setAttribute("aria-hidden", "true");
    for (let nth = 0; nth < most; nth += 1) places.append(html("i", nth < used ? "used" : ""));
    return html("li", "", html("b", "", source), " ", places, ` ${used} of ${most} in use`);
  });
  by("exports").querySelector("ul").replaceChildren(...elements);
}

/** Exactly these elements, in this order, with as few moves as can be: a moved one loses the focus for a moment. */
function arrange(list, elements) {
  const wanted = new Set(elements);
  for (const each of [...list.children]) if (!wanted.has(each)) each.remove();
  elements.forEach((each, nth) => {
    if (list.children[nth] !== each) list.insertBefore(each, list.children[nth] ?? null);
  });
}

function fill(parent, texts, tag) {
  while (parent.children.length > texts.length) parent.lastElementChild.remove();
  texts.forEach((text, nth) => put(parent.children[nth] ?? parent.appendChild(html(tag)), text));
}

/** One asking at a time; seldom while nobody looks, since the title is seen all the same. */
async function follow() {
  for (;;) {
    await ask();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, document.hidden ? HIDDEN_MS : EVERY_MS);
      document.addEventListener("visibilitychange", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }
}

follow();
