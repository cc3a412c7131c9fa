// The overall status in one sentence: what an operator must know first.

import { STATES, counted, dateTime, duration, nameOf, number } from "./texts.js";

/**
 * The overall status: a code, a tone (bad, warn, wait or good), a headline and details. It is good only if this replica
 * owns all streams: it does not know how those of other replicas are.
 */
export function summary(status, now) {
  return kafkaSummary(status, now) ?? streamSummary(status);
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

function streamSummary(status) {
  const { streams, config } = status;
  const owned = streams.filter((stream) => stream.state !== "not_owned");
  if (!streams.length) {
    return {
      code: "no_streams",
      tone: "wait",
      headline: "No streams configured",
      details: ["Add a source to config.toml."],
    };
  }
  const others = othersText(status);
  const standby = { code: "none_owned", tone: "wait", headline: "On standby: this replica owns no streams", details: others };
  const { code, tone, headline, details } = owned.length ? ownedSummary(owned, streams.length) : standby;
  if (config?.refused_at && (tone === "good" || tone === "wait")) {
    return { code: "config_refused", tone: "warn", headline: "The changed configuration was refused", details: [`${headline}.`, ...details] };
  }
  return { code, tone, headline, details: owned.length ? [...details, ...others] : details };
}

/** The worst state of the streams of this replica; `configured` is the number of all streams. */
function ownedSummary(owned, configured) {
  const inState = (state) => owned.filter((stream) => stream.state === state);
  const [parked, backingOff, restoring, paused] = ["parked", "backing_off", "restoring", "paused"].map(inState);
  const isAll = owned.length === configured;
  const all = `${counted(owned.length, "stream")}${isAll ? "" : " of this replica"}`;
  const headline = (some, what) => `${number(some.length)} of ${all} ${what}${some.length === 1 ? `: ${nameOf(some[0])}` : ""}`;
  if (parked.length) {
    const more = `${counted(backingOff.length, "other stream is", "other streams are")} backing off and will be retried automatically.`;
    return { code: "parked", tone: "bad", headline: headline(parked, "parked"), details: backingOff.length ? [more] : [] };
  }
  if (backingOff.length) {
    const details = ["No action needed: failed requests are retried automatically."];
    return { code: "backing_off", tone: "warn", headline: headline(backingOff, "backing off"), details };
  }
  if (restoring.length) {
    const details = ["A stream publishes again as soon as its state is restored."];
    return { code: "restoring", tone: "wait", headline: headline(restoring, "being restored"), details };
  }
  const counts = ["catching_up", "paused"].map((state) => [STATES[state], inState(state).length]).filter(([, count]) => count);
  const suffix = counts.map(([state, count]) => ` · ${number(count)} ${state}`).join("");
  const healthy = owned.length - paused.length;
  const which = isAll ? "" : " of this replica";
  const everything = owned.length === 1 ? `The stream${which} is` : `All ${number(owned.length)} streams${which} are`;
  const subject = paused.length ? `${number(healthy)} of ${all}` : everything;
  const text = paused.length && healthy === 0 ? `${everything} paused` : `${subject} healthy${suffix}`;
  return { code: "healthy", tone: isAll && !paused.length ? "good" : "wait", headline: text, details: [] };
}

/** Which replicas own the streams that this one does not own. */
function othersText({ streams, owners_problem: problem, host }) {
  const others = streams.filter((stream) => stream.state === "not_owned");
  if (!others.length) return [];
  const noun = others.length < streams.length ? "other stream" : "stream";
  const counts = new Map();
  for (const { owner } of others) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const unknown = counts.get(null) ?? 0;
  counts.delete(null);
  const known = [...counts].sort(([one], [other]) => one.localeCompare(other)).map(([owner, count], index) => {
    const where = owner === host ? `another replica on ${owner}` : owner;
    return `${where} owns ${index ? number(count) : counted(count, noun)}`;
  });
  const lines = known.length ? [`${sentenceOf(known)}. This page does not show how ${counts.size === 1 && others.length === 1 ? "it is" : "they are"}: see the page of the owner.`] : [];
  if (!unknown) return lines;
  const which = counted(unknown, noun);
  if (problem) return [...lines, `${which}: the owner is not known (${problem}).`];
  return [...lines, `${which} without an owner: a replica is about to take ${unknown === 1 ? "it" : "them"} over.`];
}

/** A list in words: "a, b and c". */
function sentenceOf(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
