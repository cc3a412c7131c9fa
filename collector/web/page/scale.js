// The scale of a timeline: round times in the zone of the browser.

const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric" });
const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_TICKS = 4; // so that labels do not overlap on a phone
const HOURS = [1, 2, 3, 6, 12]; // between two ticks
const DAYS = [1, 2, 7, 14];
const MONTHS = [1, 3, 6, 12];
const EDGES = [0.04, 0.88]; // the part of a timeline where a label fits: "now" is at the right end

/** The round times between two instants, in milliseconds since 1970: the share of the timeline before each, and its label. */
export function ticks(start, end) {
  const found = instants(start, end);
  return found
    .map(({ instant, label }) => ({ share: (instant - start) / (end - start), label }))
    .filter(({ share }) => share >= EDGES[0] && share <= EDGES[1]);
}

function instants(start, end) {
  const length = end - start;
  const hours = HOURS.find((step) => length / (step * HOUR_MS) <= MAX_TICKS);
  if (hours) return every(start, end, (date, index) => date.setHours(index * hours), MINUTE);
  const days = DAYS.find((step) => length / (step * DAY_MS) <= MAX_TICKS);
  if (days) return every(start, end, (date, index) => date.setDate(date.getDate() + index * days), DAY);
  const months = MONTHS.find((step) => length / (step * 30 * DAY_MS) <= MAX_TICKS) ?? 60;
  return every(start, end, (date, index) => { date.setDate(1); date.setMonth(index * months); }, MONTH);
}

/** The instants that `move` reaches from the midnight before the start, step by step. */
function every(start, end, move, format) {
  const found = [];
  for (let index = 0; ; index += 1) {
    const date = new Date(start);
    date.setHours(0, 0, 0, 0);
    move(date, index);
    const instant = date.getTime();
    if (instant >= end) return found;
    if (instant > start) found.push({ instant, label: format.format(instant) });
  }
}
