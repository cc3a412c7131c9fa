// What the page says: words, numbers and times. Nothing here touches the document.

export const STATES = {
  parked: "parked",
  backing_off: "backing off",
  restoring: "restoring",
  catching_up: "catching up",
  live: "live",
  complete: "complete",
  not_owned: "with another replica",
};

export const KINDS = {
  final: "final: nothing more is expected",
  published: "published: late ones may still come",
  partly: "asked for in part, or just now: more may come",
  waiting: "not asked for yet",
  outside: "not a part of this stream",
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

export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A stretch of time in its largest unit; in hours up to two days. */
export function lasting(seconds) {
  const [unit, length] = UNITS.find(([name, each]) => seconds >= (name === "day" ? 2 * each : each)) ?? UNITS.at(-1);
  const many = Math.max(0, Math.floor(seconds / length));
  return unit === "day" ? counted(many, "day") : `${many} ${unit}`;
}

/** The time of an instant; with its day where that is not the day of `now`, both in milliseconds. */
export function moment(instant, now) {
  const time = MINUTE.format(instant);
  if (DAY.format(instant) === DAY.format(now) && Math.abs(now - instant) < 86400_000) return time;
  return `${Math.abs(now - instant) > 300 * 86400_000 ? YEAR.format(instant) : DAY.format(instant)}, ${time}`;
}

export function second(instant) {
  return SECOND.format(instant);
}

export function ago(instant, now) {
  const seconds = (now - instant) / 1000;
  return seconds < 1 ? "just now" : `${lasting(seconds)} ago`;
}

export function ahead(instant, now) {
  const seconds = (instant - now) / 1000;
  return seconds < 1 ? "now" : `in ${lasting(seconds)}`;
}

/** From when to when a cell of a strip is. */
export function span(start, end, now) {
  if (end - start > 6 * 3600_000) return `${moment(start, now)} to ${moment(end, now)}`;
  return `${moment(start, now)} to ${MINUTE.format(end)}`;
}

export function nameOf(stream) {
  return `${stream.source} ${stream.stream}`;
}

/** How it is as a whole: a tone (bad, warn, wait, good), a headline for people, and what there is to say below it. */
export function summary(status, now) {
  return ofKafka(status, now) ?? ofStreams(status);
}

function ofKafka({ kafka, reason }, now) {
  const since = kafka.since ? ` Since ${moment(Date.parse(kafka.since), now)}, for ${lasting((now - Date.parse(kafka.since)) / 1000)}.` : "";
  switch (kafka.state) {
    case "ready":
      return null;
    case "away":
      return {
        tone: "bad",
        headline: "Kafka is away",
        details: [reason, `Nothing is published until it is back, and nothing is lost: it goes on by itself.${since}`],
      };
    case "refused":
      return {
        tone: "bad",
        headline: "Kafka needs you",
        details: [reason, `What waits for it is not published until that is done. Nothing is lost.${since}`],
      };
    case "no_coordinator":
      return {
        tone: "bad",
        headline: "Kafka's group coordinator does not answer",
        details: [`What runs here goes on as far as it can; no replica can take over from another.${since}`],
      };
    case "joining":
      return { tone: "wait", headline: "Joining the other replicas …", details: [`It takes some seconds.${since}`] };
    default:
      return { tone: "wait", headline: "Connecting to Kafka …", details: [`Nothing is asked for before it answers.${since}`] };
  }
}

function ofStreams({ streams }) {
  const here = streams.filter((stream) => stream.state !== "not_owned");
  const elsewhere = streams.length - here.length;
  const details = elsewhere && here.length ? [`${counted(elsewhere, "other is", "others are")} with another replica.`] : [];
  const parked = here.filter((stream) => stream.state === "parked");
  const backing = here.filter((stream) => stream.state === "backing_off");
  const all = elsewhere ? counted(here.length, "stream here", "streams here") : counted(here.length, "stream");
  if (!streams.length) {
    return { tone: "wait", headline: "No stream is configured", details: ["Add a source to config.toml, and start the collector again."] };
  }
  if (!here.length) {
    return { tone: "good", headline: `${counted(elsewhere, "stream is", "streams are")} with another replica`, details };
  }
  if (parked.length) {
    if (backing.length) details.unshift(`${counted(backing.length, "more is", "more are")} backing off, and will be tried again.`);
    return { tone: "bad", headline: `${number(parked.length)} of ${all} ${parked.length === 1 ? "needs" : "need"} you${named(parked, "parked")}`, details };
  }
  if (backing.length) {
    details.unshift("Nothing for you to do: what failed is tried again.");
    return { tone: "warn", headline: `${number(backing.length)} of ${all} ${backing.length === 1 ? "is" : "are"} backing off${named(backing, "")}`, details };
  }
  const restoring = here.filter((stream) => stream.state === "restoring");
  if (restoring.length) {
    details.unshift("A stream is published again as soon as its state is read.");
    return { tone: "wait", headline: `Restoring ${number(restoring.length)} of ${all}${named(restoring, "")}`, details };
  }
  return { tone: "good", headline: here.length === 1 ? `The ${elsewhere ? "stream here" : "one stream"} is well` : `All ${all} are well`, details };
}

function named(streams, state) {
  if (streams.length > 1) return "";
  return state ? `: ${nameOf(streams[0])} is ${state}` : `: ${nameOf(streams[0])}`;
}
