// All streams: a section for each state, worst first, and within it a group for each source, or for each error of a source.

import { arrange, breakable, html, setText } from "./dom.js";
import { Stream, keyOf } from "./stream.js";
import { STATES, counted, nameOf, number, sentence } from "./texts.js";

const byId = (id) => document.getElementById(id);
const SECTIONS = Object.keys(STATES).filter((state) => state !== "not_owned"); // in the order of the page

/** The streams by the group in which they are shown, in the order of the status. */
function grouped(streams, keyOfGroup) {
  const groups = new Map();
  for (const stream of streams) {
    const key = keyOfGroup(stream);
    if (groups.has(key)) groups.get(key).push(stream);
    else groups.set(key, [stream]);
  }
  return groups;
}

/** What identifies a group: streams of one source with the same error have the same remedy. */
function keyOfGroup({ state, vendor, source, last_error: error }) {
  return JSON.stringify(isTrouble(state) ? [state, vendor, source, error?.error, error?.advice] : [state, vendor, source]);
}

function isTrouble(state) {
  return state === "parked" || state === "backing_off";
}

/** Streams of one source in one state, under a common heading. */
class Group {
  constructor() {
    this.heading = html("h3");
    this.error = html("p", "error");
    this.advice = html("p", "advice");
    this.origin = html("p", "origin");
    this.list = html("ul", "streams");
    this.element = html("li", "group", html("div", "cause", this.heading, this.error, this.advice, this.origin), this.list);
  }

  show(state, { vendor, source, last_error: error }, host, elements) {
    this.element.dataset.state = state;
    this.error.hidden = state !== "parked" || !error;
    this.advice.hidden = state !== "backing_off" || !error;
    const isCause = isTrouble(state) && Boolean(error);
    if (!isCause) setText(this.heading, source);
    else setText(this.heading, sentence(state === "parked" ? error.advice : error.error));
    if (isCause) setText(state === "parked" ? this.error : this.advice, sentence(state === "parked" ? error.error : error.advice));
    const origin = [...(isCause ? [source] : []), vendor, ...(host ? [host] : [])].join(" · ");
    if (this.origin.textContent !== origin) this.origin.replaceChildren(...breakable(origin));
    arrange(this.list, elements);
    this.#shareScale(elements);
  }

  /** Of neighbours with equal scales, only the last one shows the labels, where streams are rows of a table. */
  #shareScale(elements) {
    elements.forEach((element, index) => {
      const next = elements[index + 1];
      element.classList.toggle("shares-scale", Boolean(next && element.dataset.scale && element.dataset.scale === next.dataset.scale));
    });
  }
}

export class Streams {
  constructor() {
    this.items = new Map(); // one Stream for each configured stream, by key: its element is moved, never recreated
    this.groups = new Map(); // the Groups, by their keys
    this.isOpened = false; // whether the list of the others was shown, open on a replica on standby
    this.texts = new Map(); // what is searched, in lower case, by the key of the stream
  }

  show(status, started, now) {
    const hosts = new Map(status.sources.map(({ source, host }) => [source, host]));
    const keys = new Set(status.streams.map(keyOf));
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      item.element.remove();
      this.items.delete(key);
      this.texts.delete(key);
    }
    const used = new Set();
    for (const state of SECTIONS) {
      const streams = status.streams.filter((stream) => stream.state === state);
      const elements = [];
      for (const [key, members] of grouped(streams, keyOfGroup)) {
        used.add(key);
        if (!this.groups.has(key)) this.groups.set(key, new Group());
        const group = this.groups.get(key);
        const rows = members.map((stream) => this.#item(stream).show(stream, started, now));
        group.show(state, members[0], hosts.get(members[0].source), rows);
        elements.push(group.element);
      }
      const section = byId(state);
      section.hidden = !streams.length;
      setText(section.querySelector(".count"), `(${number(streams.length)})`);
      arrange(section.querySelector(".groups"), elements);
    }
    for (const key of this.groups.keys()) if (!used.has(key)) this.groups.delete(key);
    for (const stream of status.streams) this.texts.set(keyOf(stream), searched(stream, hosts.get(stream.source)));
    this.#showNotOwned(status);
  }

  #item(stream) {
    const key = keyOf(stream);
    if (!this.items.has(key)) this.items.set(key, new Stream(stream));
    return this.items.get(key);
  }

  #showNotOwned(status) {
    const streams = status.streams.filter((stream) => stream.state === "not_owned");
    const section = byId("not_owned");
    section.hidden = !streams.length;
    setText(section.querySelector(".count"), `(${number(streams.length)})`);
    setText(section.querySelector(".where"), status.ready ? "With other replicas" : "Not running here");
    const count = counted(streams.length, "stream");
    setText(section.querySelector("summary"), status.ready ? `${count} by owner` : `${count} not running here`);
    setText(section.querySelector(".explanation"), explanation(status));
    const byOwner = [...grouped(streams, ({ owner }) => owner ?? "")].sort(([one], [other]) => one.localeCompare(other));
    const rows = byOwner.map(([owner, members]) => {
      const title = `${owner || (status.owners_problem ? "owner not known" : "no owner yet")} (${number(members.length)})`;
      const names = members.map((stream) => {
        const item = html("li", "", ...breakable(nameOf(stream)));
        item.dataset.key = keyOf(stream);
        return item;
      });
      return html("div", "", html("dt", "", title), html("dd", "", html("ul", "names", ...names)));
    });
    const drawn = JSON.stringify(byOwner.map(([owner, members]) => [owner, members.map(keyOf)]));
    if (streams.length && !this.isOpened) section.querySelector("details").open = streams.length === status.streams.length && status.ready;
    this.isOpened ||= streams.length > 0;
    const list = section.querySelector(".owners");
    if (list.dataset.drawn === drawn) return;
    list.dataset.drawn = drawn;
    list.replaceChildren(...rows);
  }

  /** Show only the streams that contain all words of the query. Returns how many do. */
  search(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = new Set();
    for (const [key, text] of this.texts) if (words.every((word) => text.includes(word))) matches.add(key);
    for (const [key, { element }] of this.items) element.hidden = !matches.has(key);
    for (const item of document.querySelectorAll("#not_owned .names li")) item.hidden = !matches.has(item.dataset.key);
    for (const group of document.querySelectorAll(".group, .owners > div")) group.hidden = !group.querySelector(":is(.streams, .names) > li:not([hidden])");
    for (const section of document.querySelectorAll("#streams > section")) {
      section.hidden = !section.querySelector(".group:not([hidden]), .owners > div:not([hidden])");
    }
    if (words.length && matches.size) document.querySelector("#not_owned details").open = true;
    return matches.size;
  }
}

function searched(stream, host) {
  const { vendor, source, stream: name, owner, state, last_error: error } = stream;
  return [vendor, source, name, host, owner, STATES[state], error?.error, error?.advice].filter(Boolean).join(" ").toLowerCase();
}

function explanation({ ready, owners_problem: problem }) {
  if (!ready) return "The owner is not known while this replica cannot use Kafka. The streams continue from where they stopped.";
  const where = "The status page of its owner shows the status of a stream.";
  return problem ? `Which replica owns them is not known: ${problem}. ${where}` : where;
}
