// A strip: what a stream published of the last while, one bar a cell, to be pointed at or walked along with the keys.

import { counted, lasting, span, KINDS } from "./words.js";

const HEIGHT = 100;
const LEAST = 7;
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -6, PageUp: 6 };

export function svg(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function html(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** Write a text where it is another one: what stays is not read out again, and stays selected. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Bars as one path, each from `begin` to `end`, with a little room between. */
function bars(each, most) {
  return each
    .map(({ begin, end, count }) => {
      const top = HEIGHT - Math.max(LEAST, (count / most) * HEIGHT);
      const room = (end - begin) * 0.12;
      return `M${begin} ${HEIGHT}V${top.toFixed(1)}H${(end - room).toFixed(1)}V${HEIGHT}Z`;
    })
    .join("");
}

export class Strip {
  constructor() {
    this.bars = svg("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    this.rail = html("div", "rail");
    this.cursor = html("div", "cursor");
    this.bubble = html("div", "bubble", html("b"), html("span"));
    this.element = html("div", "strip", this.bars, this.rail, this.cursor, this.bubble);
    for (const [name, value] of [["role", "slider"], ["tabindex", "0"], ["aria-valuemin", "0"]]) {
      this.element.setAttribute(name, value);
    }
    this.cells = [];
    this.chosen = null; // when the cell begins that is looked at
    this.drawn = "";
    this.#listen();
  }

  /** Show what /api/status says, at `now`. */
  show(name, said, now) {
    this.now = now;
    const drawn = JSON.stringify(said);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.#read(said);
      this.#draw(said);
      this.element.setAttribute("aria-valuemax", this.cells.length - 1);
    }
    this.element.setAttribute("aria-label", `${name}: records of the last ${lasting(this.cells.at(-1).end / 1000)}`);
    if (this.element.matches(":focus, :hover") && this.chosen !== null) this.#look(this.chosen);
    else this.#value(this.cells.length - 1);
  }

  #read({ start, lengths_s: lengths, counts, kinds }) {
    const expanded = (runs) => runs.flatMap(([many, value]) => Array(many).fill(value));
    const each = expanded(kinds);
    this.start = Date.parse(start);
    let begin = 0;
    this.cells = expanded(lengths).map((length, nth) => {
      const cell = { begin, end: begin + length * 1000, count: counts[nth], kind: each[nth] };
      begin = cell.end;
      return cell;
    });
  }

  #draw({ kinds }) {
    const width = this.cells.at(-1).end;
    const most = Math.max(1, ...this.cells.map((cell) => cell.count ?? 0));
    this.bars.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.bars.replaceChildren();
    for (const kind of Object.keys(KINDS)) {
      const there = this.cells.filter((cell) => cell.kind === kind && cell.count);
      if (there.length) this.bars.append(svg("path", { class: `bar-${kind}`, d: bars(there, most) }));
    }
    this.rail.replaceChildren();
    let nth = 0;
    for (const [many, kind] of kinds) {
      const run = html("span", `rail-${kind}`);
      run.style.flexGrow = this.cells[nth + many - 1].end - this.cells[nth].begin;
      this.rail.append(run);
      nth += many;
    }
  }

  #listen() {
    const point = (event) => {
      const box = this.element.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * this.cells.at(-1).end;
      const cell = this.cells.find((each) => at < each.end) ?? this.cells.at(-1);
      this.#look(this.start + cell.begin);
    };
    this.element.addEventListener("pointermove", point);
    this.element.addEventListener("pointerdown", point);
    // What a finger points at is hidden by it, so it stays until something else is touched.
    this.element.addEventListener("pointerleave", (event) => event.pointerType === "touch" || this.#hide());
    this.element.addEventListener("focus", () => this.element.matches(":focus-visible") && this.#look(this.start + this.cells.at(-1).begin));
    this.element.addEventListener("blur", () => this.#hide());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return this.#hide();
      const last = this.cells.length - 1;
      const here = this.chosen === null ? last : this.#nth(this.chosen);
      const ends = { Home: 0, End: last };
      const next = event.key in STEPS ? here + STEPS[event.key] : ends[event.key];
      if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.#look(this.start + this.cells[Math.min(last, Math.max(0, next))].begin);
    });
  }

  #nth(start) {
    const nth = this.cells.findIndex((cell) => this.start + cell.end > start);
    return nth < 0 ? this.cells.length - 1 : nth;
  }

  #look(start) {
    const nth = this.#nth(start);
    const { begin, end } = this.cells[nth];
    this.chosen = this.start + begin;
    const width = this.cells.at(-1).end;
    this.element.classList.add("looked-at");
    this.cursor.style.left = `${(100 * begin) / width}%`;
    this.cursor.style.width = `${(100 * (end - begin)) / width}%`;
    const { records, about } = this.#said(nth);
    put(this.bubble.firstChild, records);
    put(this.bubble.lastChild, about);
    const room = this.element.clientWidth - this.bubble.offsetWidth;
    const middle = ((begin + end) / 2 / width) * this.element.clientWidth - this.bubble.offsetWidth / 2;
    this.bubble.style.left = `${Math.round(Math.max(0, Math.min(room, middle)))}px`;
    this.#value(nth);
  }

  #value(nth) {
    const { records, about } = this.#said(nth);
    const text = `${records}, ${about}`;
    const same = this.element.getAttribute("aria-valuenow") === String(nth) && document.activeElement === this.element;
    if (same && this.element.hasAttribute("aria-valuetext")) return; // a refresh is not read out
    this.element.setAttribute("aria-valuenow", nth);
    this.element.setAttribute("aria-valuetext", text);
  }

  #said(nth) {
    const { begin, end, count, kind } = this.cells[nth];
    const records = count === null ? "number no longer known" : counted(count, "record");
    const about = `${span(this.start + begin, this.start + end, this.now)} · ${KINDS[kind]}`;
    return { records: kind === "waiting" && !count ? "nothing yet" : records, about };
  }

  #hide() {
    this.chosen = null;
    this.element.classList.remove("looked-at");
  }
}

/** Events a minute, one bar a minute. */
export class Spark {
  constructor() {
    this.path = svg("path");
    this.element = svg("svg", { class: "spark", viewBox: `0 0 60 ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.element.append(this.path);
  }

  show(counts) {
    const most = Math.max(1, ...counts);
    const each = counts.map((count, nth) => ({ begin: nth, end: nth + 1, count })).filter(({ count }) => count);
    this.path.setAttribute("d", bars(each, most));
  }
}
