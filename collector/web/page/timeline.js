// The activity timeline of a stream: one bar per cell, which can be selected with the pointer or the arrow keys.

import { html, setText, svg } from "./dom.js";
import { ticks } from "./scale.js";
import { KINDS, counted, duration, interval } from "./texts.js";

const HEIGHT = 100; // of the drawing area, in units of its viewBox
const LATE = 0.8; // the part of a timeline after which a label may reach that of "now" on a narrow screen
const MIN_BAR_HEIGHT = 7; // so that a single record is visible
// By how many cells each key moves the selection.
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -6, PageUp: 6 };

/** The SVG path of bars that reach from `start` to `end` of each cell, with small gaps. `max` is the count of a full bar. */
function barsPath(cells, max) {
  return cells
    .map(({ start, end, count }) => {
      const top = HEIGHT - Math.max(MIN_BAR_HEIGHT, (count / max) * HEIGHT);
      const gap = (end - start) * 0.12;
      return `M${start} ${HEIGHT}V${top.toFixed(1)}H${(end - gap).toFixed(1)}V${HEIGHT}Z`;
    })
    .join("");
}

export class Timeline {
  constructor() {
    this.bars = svg("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    this.rail = html("div", "rail");
    this.cursor = html("div", "cursor");
    this.bubble = html("div", "bubble", html("b"), html("span"));
    this.scale = html("div", "scale");
    this.scale.setAttribute("aria-hidden", "true"); // the text of a cell has its time
    this.element = html("div", "timeline", this.bars, this.rail, this.cursor, this.bubble, this.scale);
    for (const [name, value] of [["role", "slider"], ["tabindex", "0"], ["aria-valuemin", "0"]]) {
      this.element.setAttribute(name, value);
    }
    this.cells = [];
    this.selected = null; // start of the selected cell, in milliseconds since 1970
    this.drawn = ""; // the timeline that is drawn, as JSON
    this.#listen();
  }

  /** Draw the field `strip` of a stream in /api/status. Returns a text that is equal for equal scales. */
  show(name, strip, now) {
    this.now = now;
    const json = JSON.stringify(strip);
    if (json !== this.drawn) {
      this.drawn = json;
      this.#setCells(strip);
      this.#draw(strip);
      this.element.setAttribute("aria-valuemax", this.cells.length - 1);
    }
    this.element.setAttribute("aria-label", `${name}: records of the last ${duration(this.cells.at(-1).end / 1000)}`);
    if (this.element.matches(":focus, :hover") && this.selected !== null) this.#select(this.selected);
    else this.#setValue(this.cells.length - 1);
    return `${strip.start} ${this.cells.at(-1).end}`;
  }

  #setCells({ start, lengths_s: lengths, counts, kinds }) {
    const expanded = (runs) => runs.flatMap(([count, value]) => Array(count).fill(value));
    const kindOfCell = expanded(kinds);
    this.start = Date.parse(start);
    let offset = 0; // of the cell from the start of the timeline, in milliseconds
    this.cells = expanded(lengths).map((length, index) => {
      const cell = { start: offset, end: offset + length * 1000, count: counts[index], kind: kindOfCell[index] };
      offset = cell.end;
      return cell;
    });
  }

  #draw({ kinds }) {
    const width = this.cells.at(-1).end;
    const max = Math.max(1, ...this.cells.map((cell) => cell.count ?? 0));
    this.bars.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.bars.replaceChildren();
    for (const kind of Object.keys(KINDS)) {
      const cells = this.cells.filter((cell) => cell.kind === kind && cell.count);
      if (cells.length) this.bars.append(svg("path", { class: `bar-${kind}`, d: barsPath(cells, max) }));
    }
    this.rail.replaceChildren();
    let first = 0;
    for (const [count, kind] of kinds) {
      const run = html("span", `rail-${kind}`);
      run.style.flexGrow = this.cells[first + count - 1].end - this.cells[first].start;
      this.rail.append(run);
      first += count;
    }
    this.#drawScale(width);
  }

  /** Draw a line and a label at round times, and "now" at the right end. */
  #drawScale(width) {
    const marks = ticks(this.start, this.start + width).map(({ share, label }) => {
      const mark = html("span", share > LATE ? "tick late" : "tick", html("span", "", label));
      mark.style.left = `${100 * share}%`;
      return mark;
    });
    this.scale.replaceChildren(...marks, html("span", "now", "now"));
  }

  #listen() {
    const point = (event) => {
      const box = this.element.getBoundingClientRect();
      const offset = ((event.clientX - box.left) / box.width) * this.cells.at(-1).end;
      const cell = this.cells.find(({ end }) => offset < end) ?? this.cells.at(-1);
      this.#select(this.start + cell.start);
    };
    this.element.addEventListener("pointermove", point);
    this.element.addEventListener("pointerdown", point);
    // On a touch screen the finger covers the bar, so the selection remains until another element is touched.
    this.element.addEventListener("pointerleave", (event) => event.pointerType === "touch" || this.#hide());
    this.element.addEventListener("focus", () => this.element.matches(":focus-visible") && this.#select(this.start + this.cells.at(-1).start));
    this.element.addEventListener("blur", () => this.#hide());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return this.#hide();
      const last = this.cells.length - 1;
      const current = this.selected === null ? last : this.#indexAt(this.selected);
      const ends = { Home: 0, End: last };
      const next = event.key in STEPS ? current + STEPS[event.key] : ends[event.key];
      if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.#select(this.start + this.cells[Math.min(last, Math.max(0, next))].start);
    });
  }

  #indexAt(instant) {
    const index = this.cells.findIndex((cell) => this.start + cell.end > instant);
    return index < 0 ? this.cells.length - 1 : index;
  }

  #select(instant) {
    const index = this.#indexAt(instant);
    const { start, end } = this.cells[index];
    this.selected = this.start + start;
    const width = this.cells.at(-1).end;
    this.element.classList.add("selected");
    this.cursor.style.left = `${(100 * start) / width}%`;
    this.cursor.style.width = `${(100 * (end - start)) / width}%`;
    const { count, details } = this.#texts(index);
    setText(this.bubble.firstChild, count);
    setText(this.bubble.lastChild, details);
    const space = this.element.clientWidth - this.bubble.offsetWidth;
    const middle = ((start + end) / 2 / width) * this.element.clientWidth - this.bubble.offsetWidth / 2;
    this.bubble.style.left = `${Math.round(Math.max(0, Math.min(space, middle)))}px`;
    this.#setValue(index);
  }

  #setValue(index) {
    const { count, details } = this.#texts(index);
    const isUnchanged = this.element.getAttribute("aria-valuenow") === String(index) && document.activeElement === this.element;
    if (isUnchanged && this.element.hasAttribute("aria-valuetext")) return; // do not announce refreshes
    this.element.setAttribute("aria-valuenow", index);
    this.element.setAttribute("aria-valuetext", `${count}, ${details}`);
    this.element.dataset.kind = this.cells[index].kind;
  }

  #texts(index) {
    const { start, end, count, kind } = this.cells[index];
    const records = count === null ? "count no longer known" : counted(count, "record");
    const details = `${interval(this.start + start, this.start + end, this.now)} · ${KINDS[kind]}`;
    return { count: kind === "waiting" && !count ? "no records yet" : records, details };
  }

  #hide() {
    this.selected = null;
    this.element.classList.remove("selected");
  }
}

/** Events per minute of the last hour, one bar per minute. */
export class Sparkline {
  constructor() {
    this.path = svg("path");
    this.element = svg("svg", { class: "sparkline", viewBox: `0 0 60 ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.element.append(this.path);
  }

  show(counts) {
    const cells = counts.map((count, minute) => ({ start: minute, end: minute + 1, count })).filter(({ count }) => count);
    this.path.setAttribute("d", barsPath(cells, Math.max(1, ...counts)));
  }
}
