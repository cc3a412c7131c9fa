// One stream as an item of a list. Its element is reused for as long as the stream is configured.

import { Sparkline, Timeline, html, setText, svg } from "./timeline.js";
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

export class Stream {
  constructor(stream) {
    this.mark = svg("path", { "fill-rule": "evenodd" });
    const mark = svg("svg", { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true" });
    mark.append(this.mark);
    this.state = html("span");
    this.name = html("h3", "", html("span", "source", ...breakable(stream.source)), " ", html("span", "", ...breakable(stream.stream)));
    this.error = html("div", "failure", html("p", "error"), html("p", "advice"), html("p", "attempts"));
    this.timeline = new Timeline();
    this.scale = html("p", "scale");
    this.placeholder = html("p", "placeholder");
    this.sparkline = new Sparkline();
    this.events = html("span");
    this.behind = html("p", "behind", html("span"), html("span", "visually-hidden", ", "), html("span"));
    this.notes = html("ul", "notes");
    this.element = html(
      "li",
      "stream",
      html("div", "name", this.name, html("p", "state", mark, this.state)),
      this.error,
      html("div", "day", this.timeline.element, this.scale, this.placeholder),
      html("p", "events", this.sparkline.element, this.events),
      this.behind,
      this.notes,
    );
  }

  show(stream, started, now) {
    this.element.dataset.state = stream.state;
    this.mark.setAttribute("d", MARKS[stream.state] ?? MARKS.not_owned);
    const share = stream.state === "restoring" && stream.restoring !== null ? ` · ${Math.floor(100 * stream.restoring)} %` : "";
    setText(this.state, `${STATES[stream.state] ?? stream.state}${share}`);
    this.#showError(stream, now);
    this.#showTimeline(stream, now);
    this.#showEvents(stream, started, now);
    this.#showLag(stream, now);
    this.#showNotes(stream);
  }

  #showError({ state, last_error: error, last_success: success }, now) {
    this.error.hidden = !error;
    if (!error) return;
    const [text, advice, attempts] = this.error.children;
    const retry = error.retry_at ? `Last attempt ${ago(Date.parse(error.at), now)}, next ${until(Date.parse(error.retry_at), now)}.` : "";
    setText(text, error.error);
    setText(advice, state === "parked" ? `What to do: ${error.advice}` : sentence(error.advice));
    setText(attempts, `${retry} ${success ? `Last success ${ago(Date.parse(success), now)}.` : "No success on this replica yet."}`.trim());
  }

  #showTimeline({ state, strip, watermark }, now) {
    const isShown = Boolean(strip) && state !== "complete";
    this.timeline.element.hidden = !isShown;
    this.placeholder.hidden = isShown;
    const cellS = isShown ? strip.lengths_s.at(-1)[1] : 0;
    this.scale.hidden = cellS <= DEFAULT_CELL_S;
    setText(this.scale, `${duration(cellS)} per bar`);
    if (isShown) this.timeline.show(this.name.textContent, strip, now);
    else if (state === "complete") setText(this.placeholder, `All data up to ${dateTime(Date.parse(watermark), now)} is published.`);
    else if (state === "restoring") setText(this.placeholder, "The state is being restored.");
    else setText(this.placeholder, watermark ? "Current values only, without a history." : "Not started yet.");
  }

  #showEvents({ events_per_minute: minutes }, started, now) {
    const sum = minutes.reduce((total, count) => total + count, 0);
    this.sparkline.show(minutes);
    this.sparkline.element.toggleAttribute("hidden", !sum);
    const upS = started ? (now - started) / 1000 : Infinity;
    setText(this.events, `${counted(sum, "event")} in ${upS < 3600 ? duration(Math.max(60, upS)) : "1 h"}`);
  }

  #showLag({ lag_s: lag, watermark, state }, now) {
    this.behind.hidden = lag === null || state === "complete";
    if (this.behind.hidden) return;
    const [behind, , publishedUpTo] = this.behind.children;
    setText(behind, `${duration(lag)} behind`);
    setText(publishedUpTo, `published up to ${dateTime(Date.parse(watermark), now)}`);
  }

  #showNotes({ notices, missing, counts }) {
    const deadLetters = Object.values(counts.dead_letters).reduce((total, count) => total + count, 0);
    const notes = [...notices];
    if (deadLetters) notes.push(`${counted(deadLetters, "dead letter")}: read the topic collector.dead_letters, after kafka.topic_prefix`);
    if (missing) notes.push(`${counted(missing, "numbered record has", "numbered records have")} not been received so far`);
    while (this.notes.children.length > notes.length) this.notes.lastChild.remove();
    notes.forEach((note, index) => setText(this.notes.children[index] ?? this.notes.appendChild(html("li")), note));
    this.notes.hidden = !notes.length;
  }
}

/** The name, with line break opportunities after underscores. */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part) => [part, document.createElement("wbr")]);
}

export function keyOf(stream) {
  return `${stream.vendor}/${nameOf(stream)}`;
}
