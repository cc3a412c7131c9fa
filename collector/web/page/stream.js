// One stream as an item of a list. Its element is reused for as long as the stream is configured.

import { ShareBar, breakable, html, setText, svg } from "./dom.js";
import { Sparkline, Timeline } from "./timeline.js";
import { STATES, ago, counted, dateTime, duration, nameOf, sentence, until } from "./texts.js";

// SVG paths of the state icons. They differ in shape, not only in colour: a dot, three quarters of a ring, a half-filled
// dot, a triangle, a square, two bars, a check mark, a ring.
const MARKS = {
  live: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Z",
  restoring: "M8 2a6 6 0 1 0 6 6h-2a4 4 0 1 1-4-4V2Z",
  catching_up: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 2v8a4 4 0 0 1 0-8Z",
  backing_off: "M8 2 15 14H1ZM7.2 6v4h1.6V6Zm0 5v1.6h1.6V11Z",
  parked: "M2 2H14V14H2ZM7 4v5h2V4Zm0 6v2h2v-2Z",
  paused: "M4 3h3v10H4ZM9 3h3v10H9Z",
  complete: "M6.5 13.5 1.5 8.5 3.2 6.8 6.5 10 12.8 3.7 14.5 5.4Z",
  not_owned: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6Z",
};

const DEFAULT_CELL_S = 600; // the length of a cell of a timeline, except for streams with longer periods
const BACKFILL = "~backfill"; // at the end of the name of a stream that fetches older data beside a live one

export class Stream {
  constructor(stream) {
    this.mark = svg("path", { "fill-rule": "evenodd" });
    const mark = svg("svg", { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true" });
    mark.append(this.mark);
    this.state = html("span");
    const name = stream.stream.endsWith(BACKFILL) ? `${stream.stream.slice(0, -BACKFILL.length)} backfill` : stream.stream;
    this.label = `${stream.source} ${name}`;
    this.name = html("h4", "", html("span", "visually-hidden", `${stream.source} `), ...breakable(name));
    this.attempts = html("p", "attempts");
    this.timeline = new Timeline();
    this.cellLength = html("p", "cell-length");
    this.share = new ShareBar();
    this.placeholder = html("p", "placeholder");
    this.sparkline = new Sparkline();
    this.events = html("span");
    this.behind = html("p", "behind", html("span"), html("span", "visually-hidden", ", "), html("span"));
    this.notes = html("ul", "notes");
    this.element = html(
      "li",
      "stream",
      html("div", "name", this.name, html("p", "state", mark, this.state)),
      html("div", "day", this.timeline.element, this.cellLength, this.share.element, this.placeholder),
      html("p", "events", this.sparkline.element, this.events),
      this.behind,
      this.notes,
    );
    this.element.insertBefore(this.attempts, this.notes);
  }

  /** Show the stream's object in /api/status. Returns the element. */
  show(stream, started, now) {
    this.element.dataset.state = stream.state;
    this.mark.setAttribute("d", MARKS[stream.state] ?? MARKS.not_owned);
    setText(this.state, STATES[stream.state] ?? stream.state);
    this.#showAttempts(stream, now);
    this.#showTimeline(stream, now);
    this.#showEvents(stream, started, now);
    this.#showLag(stream, now);
    this.#showNotes(stream, now);
    return this.element;
  }

  #showAttempts({ last_error: error, last_success: success }, now) {
    this.attempts.hidden = !error;
    if (!error) return;
    const retry = error.retry_at ? `Last attempt ${ago(Date.parse(error.at), now)}, next ${until(Date.parse(error.retry_at), now)}.` : "";
    setText(this.attempts, `${retry} ${success ? `Last success ${ago(Date.parse(success), now)}.` : "No success on this replica yet."}`.trim());
  }

  #showTimeline(stream, now) {
    const { state, strip, watermark, backfill, restoring } = stream;
    const share = backfill ? backfill.share : state === "restoring" ? restoring : null;
    this.share.element.hidden = share === null || share === undefined;
    if (!this.share.element.hidden) this.share.show(`${this.label}: ${backfill ? "backfilled" : "restored"}`, share);
    const isShown = Boolean(strip) && state !== "complete" && !backfill;
    this.timeline.element.hidden = !isShown;
    this.placeholder.hidden = isShown;
    const cellS = isShown ? strip.lengths_s.at(-1)[1] : 0;
    this.cellLength.hidden = cellS <= DEFAULT_CELL_S;
    setText(this.cellLength, `${duration(cellS)} per bar`);
    if (isShown) this.element.dataset.scale = this.timeline.show(this.label, strip, now);
    else delete this.element.dataset.scale;
    if (!isShown) setText(this.placeholder, placeholder(stream, share, now));
  }

  #showEvents({ events_per_minute: minutes }, started, now) {
    const sum = minutes.reduce((total, count) => total + count, 0);
    this.sparkline.show(minutes);
    this.sparkline.element.toggleAttribute("hidden", !sum);
    const upS = started ? (now - started) / 1000 : Infinity;
    setText(this.events, `${counted(sum, "event")} in ${upS < 3600 ? duration(Math.max(60, upS)) : "1 h"}`);
  }

  #showLag({ lag_s: lag, watermark, state, backfill }, now) {
    this.behind.hidden = lag === null || state === "complete" || Boolean(backfill);
    if (this.behind.hidden) return;
    const [behind, , publishedUpTo] = this.behind.children;
    setText(behind, `${duration(lag)} behind`);
    setText(publishedUpTo, `published up to ${dateTime(Date.parse(watermark), now)}`);
  }

  #showNotes({ missing, counts, paused }, now) {
    const deadLetters = Object.values(counts.dead_letters).reduce((total, count) => total + count, 0);
    const notes = paused ? [pauseText(paused, now)] : [];
    if (deadLetters) notes.push(`${counted(deadLetters, "dead letter")}: see collector dead-letters list`);
    if (missing) notes.push(`${counted(missing, "numbered record has", "numbered records have")} not been received so far`);
    while (this.notes.children.length > notes.length) this.notes.lastChild.remove();
    notes.forEach((note, index) => setText(this.notes.children[index] ?? this.notes.appendChild(html("li")), note));
    this.notes.hidden = !notes.length;
  }
}

/** What is shown instead of a timeline. */
function placeholder({ state, watermark, backfill }, share, now) {
  const percent = typeof share === "number" ? ` · ${Math.floor(100 * share)} %` : "";
  if (backfill) {
    const [from, to] = [backfill.from, backfill.to].map((each) => (each ? dateTime(Date.parse(each), now) : "now"));
    const lateUntil = backfill.late_until ? Date.parse(backfill.late_until) : 0;
    const waits = state === "live" && share === 1 && lateUntil > now;
    return `Older data from ${from} to ${to}${percent}${waits ? ` · waits for late records until ${dateTime(lateUntil, now)}` : ""}`;
  }
  if (state === "complete") return `All data up to ${dateTime(Date.parse(watermark), now)} is published.`;
  if (state === "restoring") return `The state is being restored${percent}`;
  return watermark ? "Current values only, without a history." : "Not started yet.";
}

/** Who paused a stream, since when, until when and why. */
function pauseText({ reason, since, until: end, by }, now) {
  const parts = ["paused"];
  if (by) parts.push(`by ${by}`);
  if (since) parts.push(`since ${dateTime(Date.parse(since), now)}`);
  parts.push(end ? `until ${dateTime(Date.parse(end), now)}` : "until it is resumed");
  return sentence(`${parts.join(" ")}${reason ? `: ${reason}` : ""}`);
}

export function keyOf(stream) {
  return `${stream.vendor}/${nameOf(stream)}/${stream.backfill?.from ?? ""}`; // a stream may have several backfills
}
