// The texts of the page: labels, numbers and times. Nothing here changes the document.

/** The label of each state of a stream, worst first. */
export const STATES = {
  parked: "parked",
  backing_off: "backing off",
  restoring: "restoring",
  catching_up: "catching up",
  paused: "paused",
  live: "live",
  paused: "paused",
  complete: "complete",
  not_owned: "with another replica",
};

/** What the kind of a cell says about the records in it. */
export const KINDS = {
  final: "final: no more records expected",
  published: "published: late records may still arrive",
  partly: "partly fetched: more records will arrive",
  waiting: "not fetched yet",
  outside: "outside the stream's time range",
};

const NUMBER = new Intl.NumberFormat("en");
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const UNITS = [["day", 86400], ["h", 3600], ["min", 60], ["s", 1]];

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function number(count) {
  return NUMBER.format(count);
}

/** A number with its noun, in the singular or the plural. */
export function counted(count, singular, plural = `${singular}s`) {
  return `${number(count)} ${count === 1 ? singular : plural}`;
}

/** A place that does not upload as it should: its number and name, its state, and the time since its last upload. */
export function placeText({ id, label, state, hours_since_upload: hours }) {
  const upload = hours === null ? "no known upload" : `last upload ${duration(hours * 3600)} ago`;
  return `${id}${label === null ? "" : ` ${label}`}: ${state}, ${upload}`;
}

/** The text with a capital first letter, unless it starts with a key of the configuration, a command or an address. */
export function sentence(text) {
  return /^[a-z][a-z-]*(?=[\s,:;]|$)/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** A duration in its largest unit, rounded down. Less than two days are shown in hours. */
export function duration(seconds) {
  const [unit, length] = UNITS.find(([name, length]) => seconds >= (name === "day" ? 2 * length : length)) ?? UNITS.at(-1);
  const count = Math.max(0, Math.floor(seconds / length));
  return unit === "day" ? counted(count, "day") : `${count} ${unit}`;
}

/** The time of day of an instant, with the date unless it is that of `now`. Both are in milliseconds since 1970. */
export function dateTime(instant, now) {
  const time = MINUTE.format(instant);
  if (DAY.format(instant) === DAY.format(now) && Math.abs(now - instant) < 86400_000) return time;
  return `${Math.abs(now - instant) > 300 * 86400_000 ? YEAR.format(instant) : DAY.format(instant)}, ${time}`;
}

export function timeOfDay(instant) {
  return SECOND.format(instant);
}

/** How long before `now` an instant was, such as "5 min ago". */
export function ago(instant, now) {
  const seconds = (now - instant) / 1000;
  return seconds < 1 ? "just now" : `${duration(seconds)} ago`;
}

/** How long after `now` an instant will be, such as "in 5 min". */
export function until(instant, now) {
  const seconds = (instant - now) / 1000;
  return seconds < 1 ? "now" : `in ${duration(seconds)}`;
}

/** The interval of a cell of a timeline. */
export function interval(start, end, now) {
  if (end - start > 6 * 3600_000) return `${dateTime(start, now)} to ${dateTime(end, now)}`;
  return `${dateTime(start, now)} to ${MINUTE.format(end)}`;
}

/** A list of servers, which may be broken into lines between them. */
export function servers(list) {
  return list.replace(/\s*,\s*/g, ", ");
}

export function nameOf(stream) {
  return `${stream.source} ${stream.stream}`;
}
