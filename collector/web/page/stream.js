// One stream, as one item of a list: it stays the same element whatever becomes of the stream.

import { Spark, Strip, html, put, svg } from "./strip.js";
import { STATES, ago, ahead, counted, lasting, moment, nameOf, sentence } from "./words.js";

// Distinguished by their shapes: a dot, three quarters of a ring, a dot that fills, a triangle, a square, a tick, a ring.
const MARKS = {
  live: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Z",
  restoring: "M8 2a6 6 0 1 0 6 6h-2a4 4 0 1 1-4-4V2Z",
  catching_up: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 2v8a4 4 0 0 1 0-8Z",
  backing_off: "M8 2 15 14H1ZM7.2 6v4h1.6V6Zm0 5v1.6h1.6V11Z",
  parked: "M2 2H14V14H2ZM7 4v5h2V4Zm0 6v2h2v-2Z",
  complete: "M6.5 13.5 1.5 8.5 3.2 6.8 6.5 10 12.8 3.7 14.5 5.4Z",
  not_owned: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6Z",
};

const TEN_MINUTES = 600;

export class Stream {
  constructor(said) {
    this.mark = svg("path", { "fill-rule": "evenodd" });
    const mark = svg("svg", { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true" });
    mark.append(this.mark);
    this.state = html("span");
    this.name = html("h3", "", html("span", "source", ...breakable(said.source)), " ", html("span", "", ...breakable(said.stream)));
    this.trouble = html("div", "trouble", html("p", "error"), html("p", "advice"), html("p", "tries"));
    this.strip = new Strip();
    this.scale = html("p", "scale");
    this.instead = html("p", "instead");
    this.spark = new Spark();
    this.events = html("span");
    this.behind = html("p", "behind", html("span"), html("span", "unseen", ", "), html("span"));
    this.notes = html("ul", "notes");
    this.element = html(
      "li",
      "stream",
      html("div", "name", this.name, html("p", "state", mark, this.state)),
      this.trouble,
      html("div", "day", this.strip.element, this.scale, this.instead),
      html("p", "events", this.spark.element, this.events),
      this.behind,
      this.notes,
    );
  }

  show(said, started, now) {
    this.element.dataset.state = said.state;
    this.mark.setAttribute("d", MARKS[said.state] ?? MARKS.not_owned);
    const share = said.state === "restoring" && said.restoring !== null ? ` · ${Math.floor(100 * said.restoring)} %` : "";
    put(this.state, `${STATES[said.state] ?? said.state}${share}`);
    this.#trouble(said, now);
    this.#day(said, now);
    this.#events(said, started, now);
    this.#behind(said, now);
    this.#notes(said);
  }

  #trouble({ state, last_error: error, last_success: success }, now) {
    this.trouble.hidden = !error;
    if (!error) return;
    const [what, advice, tries] = this.trouble.children;
    const again = error.retry_at ? `Tried ${ago(Date.parse(error.at), now)}, again ${ahead(Date.parse(error.retry_at), now)}.` : "";
    put(what, error.error);
    put(advice, state === "parked" ? `What to do: ${error.advice}` : sentence(error.advice));
    put(tries, `${again} ${success ? `Last success ${ago(Date.parse(success), now)}.` : "No success since it is here."}`.trim());
  }

  #day({ state, strip, watermark }, now) {
    const shown = Boolean(strip) && state !== "complete";
    this.strip.element.hidden = !shown;
    this.instead.hidden = shown;
    const cell = shown ? strip.lengths_s.at(-1)[1] : 0;
    this.scale.hidden = cell <= TEN_MINUTES;
    put(this.scale, `${lasting(cell)} a bar`);
    if (shown) this.strip.show(this.name.textContent, strip, now);
    else if (state === "complete") put(this.instead, `All of it is published, up to ${moment(Date.parse(watermark), now)}.`);
    else if (state === "restoring") put(this.instead, "Its state is being read.");
    else put(this.instead, watermark ? "Told as it is now: there is no past to show." : "Not begun yet.");
  }

  #events({ events_per_minute: minutes }, started, now) {
    const sum = minutes.reduce((all, each) => all + each, 0);
    this.spark.show(minutes);
    this.spark.element.toggleAttribute("hidden", !sum);
    const up = started ? (now - started) / 1000 : Infinity;
    put(this.events, `${counted(sum, "event")} in ${up < 3600 ? lasting(Math.max(60, up)) : "1 h"}`);
  }

  #behind({ lag_s: lag, watermark, state }, now) {
    this.behind.hidden = lag === null || state === "complete";
    if (this.behind.hidden) return;
    const [behind, , at] = this.behind.children;
    put(behind, `${lasting(lag)} behind`);
    put(at, `published up to ${moment(Date.parse(watermark), now)}`);
  }

  #notes({ notices, missing, counts }) {
    const letters = Object.values(counts.dead_letters).reduce((all, each) => all + each, 0);
    const notes = [...notices];
    if (letters) notes.push(`${counted(letters, "row")} could not be understood: see the topic collector.dead_letters`);
    if (missing) notes.push(`${counted(missing, "numbered record has", "numbered records have")} not been received so far`);
    while (this.notes.children.length > notes.length) this.notes.lastChild.remove();
    notes.forEach((note, nth) => put(this.notes.children[nth] ?? this.notes.appendChild(html("li")), note));
    this.notes.hidden = !notes.length;
  }
}

/** The name, with places where a line may end. */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part) => [part, document.createElement("wbr")]);
}

export function keyOf(said) {
  return `${said.vendor}/${nameOf(said)}`;
}
