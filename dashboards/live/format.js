// How times and states are said.

export const STATES = {
  running: ["Counting", "good"],
  starting: ["Starting", "warn"],
  stopped: ["Stopped", "calm"],
  already_counted: ["Already counted", "calm"],
  finished: ["Finished", "calm"],
  retrying: ["Trying again", "warn"],
  no_model: ["No model", "bad"],
  refused: ["Cannot work", "bad"],
};

// From well to ill, as the API has it: a camera does as the worst word about it.
const SEVERITY = Object.keys(STATES);

export function worst(statuses) {
  return statuses.reduce((bad, one) => (!bad || SEVERITY.indexOf(one.state) > SEVERITY.indexOf(bad.state) ? one : bad), null);
}

export function sayAge(seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)} s ago`;
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

export function sayDay(day) {
  return new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" }).format(new Date(`${day}T12:00:00Z`));
}

export function sayWeekday(day) {
  return new Intl.DateTimeFormat("en-GB", { weekday: "long", timeZone: "UTC" }).format(new Date(`${day}T12:00:00Z`));
}

// Today beside the same weekday a week ago, each until the same time.
export function sayChange({ now, then }, day) {
  if (!then.in) return "";
  const percent = Math.round((100 * (now.in - then.in)) / then.in);
  const change = percent ? `${Math.abs(percent)} % ${percent > 0 ? "more" : "fewer"} than` : "as many as";
  return `${change} last ${sayWeekday(day)} by now`;
}

export function sayMoment(milliseconds, timeZone) {
  return new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone }).format(milliseconds);
}

export function sayTime(milliseconds, timeZone, seconds = false) {
  const second = seconds ? "2-digit" : undefined;
  return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second, timeZone }).format(milliseconds);
}
