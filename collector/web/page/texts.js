// The texts of the page: labels, numbers and times. Nothing here changes the document.

/** The label of each state of a stream. */
export const STATES = {
  parked: "parked",
  backing_off: "backing off",
  restoring: "restoring",
  catching_up: "catching up",
  live: "live",
  paused: "paused",
  complete: "complete",
  not_owned: "owned by another replica",
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

/** The text with a capital first letter. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
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

export function nameOf(stream) {
  return `${stream.source} ${stream.stream}`;
}

/** The overall status: a code, a tone (bad, warn, wait or good), a headline and details. */
export function summary(status, now) {
  return kafkaSummary(status, now) ?? streamSummary(status.streams);
}

function kafkaSummary({ kafka, reason }, now) {
  const changed = kafka.since && Date.parse(kafka.since);
  const since = changed ? ` In this state since ${dateTime(changed, now)} (${duration((now - changed) / 1000)}).` : "";
  switch (kafka.state) {
    case "ready":
      return null;
    case "away":
      return {
        code: "kafka_away",
        tone: "bad",
        headline: "Kafka unavailable",
        details: [reason, `Nothing is lost. Publishing resumes automatically when Kafka is available again.${since}`],
      };
    case "refused":
      return {
        code: "kafka_refused",
        tone: "bad",
        headline: "Kafka needs attention",
        details: [reason, `The affected streams publish nothing until this is fixed. Nothing is lost.${since}`],
      };
    case "no_coordinator":
      return {
        code: "kafka_no_coordinator",
        tone: "bad",
        headline: "Kafka group coordinator unavailable",
        details: [`Running streams continue, but replicas cannot take over from each other.${since}`],
      };
    case "joining":
      return {
        code: "kafka_joining",
        tone: "wait",
        headline: "Joining the consumer group …",
        details: [`This takes a few seconds.${since}`],
      };
    default:
      return {
        code: "kafka_connecting",
        tone: "wait",
        headline: "Connecting to Kafka …",
        details: [`Polling starts when Kafka is available.${since}`],
      };
  }
}

function streamSummary(streams) {
  const owned = streams.filter((stream) => stream.state !== "not_owned");
  const inState = (state) => owned.filter((stream) => stream.state === state);
  const [parked, backingOff, restoring] = [inState("parked"), inState("backing_off"), inState("restoring")];
  const others = streams.length - owned.length;
  const details = others ? [`${counted(others, "other stream is", "other streams are")} owned by other replicas.`] : [];
  const all = `${counted(owned.length, "stream")}${others ? " of this replica" : ""}`;
  if (!streams.length) {
    return {
      code: "no_streams",
      tone: "wait",
      headline: "No streams configured",
      details: ["Add a source to config.toml, then restart the collector."],
    };
  }
  if (!owned.length) {
    return {
      code: "none_owned",
      tone: "good",
      headline: "This replica owns no streams",
      details: [`${counted(others, "stream is", "streams are")} owned by other replicas.`],
    };
  }
  if (parked.length) {
    if (backingOff.length) {
      details.unshift(`${counted(backingOff.length, "other stream is", "other streams are")} backing off and will be retried automatically.`);
    }
    return { code: "parked", tone: "bad", headline: `${number(parked.length)} of ${all} parked${nameIfSingle(parked)}`, details };
  }
  if (backingOff.length) {
    details.unshift("No action needed: failed requests are retried automatically.");
    return {
      code: "backing_off",
      tone: "warn",
      headline: `${number(backingOff.length)} of ${all} backing off${nameIfSingle(backingOff)}`,
      details,
    };
  }
  if (restoring.length) {
    details.unshift("A stream publishes again as soon as its state is restored.");
    return {
      code: "restoring",
      tone: "wait",
      headline: `Restoring ${number(restoring.length)} of ${all}${nameIfSingle(restoring)}`,
      details,
    };
  }
  const catchingUp = inState("catching_up").length;
  return {
    code: "healthy",
    tone: "good",
    headline: `All streams${others ? " of this replica" : ""} healthy${catchingUp ? ` · ${number(catchingUp)} catching up` : ""}`,
    details,
  };
}

function nameIfSingle(streams) {
  return streams.length === 1 ? `: ${nameOf(streams[0])}` : "";
}
