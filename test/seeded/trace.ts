interface TraceLine {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

/** What happened in a run, for the report of a failure. */
export interface Trace {
  note(atMs: number, who: string, what: string): void;
  /**
   * The last `max` readable lines, oldest first; times are relative to the start of the run. Given ids, only what was
   * done by workers that touched one of them.
   */
  lines(max: number, ids: readonly string[]): readonly string[];
}

/** Lines kept; a run has a few thousand. */
const keptMax = 60_000;

export function createTrace(startMs: number): Trace {
  const kept: TraceLine[] = [];
  return {
    note: (atMs, who, what) => {
      kept.push({ atMs, who, what });
      if (kept.length > 2 * keptMax) kept.splice(0, keptMax);
    },
    lines: (max, ids) => {
      const isAbout = ({ what }: TraceLine): boolean => ids.some((id) => what.includes(id));
      const involved = new Set(kept.filter(isAbout).map(({ who }) => who));
      const wanted = kept.filter((line) => ids.length === 0 || involved.has(line.who) || isAbout(line));
      return wanted.slice(-max).map(lineText(startMs));
    },
  };
}

const lineText =
  (startMs: number) =>
  ({ atMs, who, what }: TraceLine): string =>
    `${clock(atMs - startMs)}  ${who.padEnd(24)} ${what}`;

function clock(ms: number): string {
  const pad = (n: number, width = 2): string => String(n).padStart(width, '0');
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = Math.floor(ms / 1_000) % 60;
  return `+${pad(hours)}:${pad(minutes)}:${pad(seconds)}.${pad(ms % 1_000, 3)}`;
}
