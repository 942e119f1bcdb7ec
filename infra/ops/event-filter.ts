import type { Command } from 'commander';
import { before, type DurationMs, days, type EpochMs } from '../../shared/core/time.ts';
import { type EventKind, eventKinds } from '../../shared/core/webhook-event.ts';
import { type Direction, listEvents, type TimeRange } from '../../shared/store/event-listing.ts';
import type { Versioned } from '../../shared/store/event-store.ts';
import type { EventRow } from '../../shared/store/rows.ts';
import { simTimeline } from '../../shared/store/sim-timeline.ts';
import type { Connection } from './connect.ts';
import { misused } from './failure.ts';
import { readMoment } from './notation.ts';
import { subjectsNamed } from './sim-keys.ts';

/** Which events a command is about. */
export interface EventFilter {
  readonly range: TimeRange;
  readonly provider: string | null;
  readonly kind: EventKind | null;
  /** A SIM as the operator writes it. */
  readonly sim: string | null;
  readonly state: EventRow['state'] | null;
}

export interface EventFilterOptions {
  readonly provider?: string;
  readonly kind?: string;
  readonly sim?: string;
  readonly since?: string;
  readonly until?: string;
  readonly state?: string;
}

/** Adds the options that choose events. */
export function withEventFilter(command: Command, sinceText: string): Command {
  return command
    .option('--provider <id>', 'only of this provider')
    .option('--kind <kind>', `only of this kind: ${eventKinds.slice(0, 4).join(', ')}, …`)
    .option('--sim <id>', 'only of this SIM: ICCID, IMSI or EID')
    .option('--since <time>', 'from then on: 2h, 7d, 2026-11-22, 2026-11-22T05:00Z', sinceText)
    .option('--until <time>', 'up to then', 'now')
    .option('--state <state>', 'recorded (not judged yet) or decided');
}

/** Reads those options; throws OpsError `usage`. */
export function readEventFilter(options: EventFilterOptions, now: EpochMs): EventFilter {
  const kind = eventKinds.find((each) => each === options.kind) ?? null;
  if (options.kind !== undefined && kind === null) {
    throw misused(`--kind is "${options.kind}", but the kinds are ${eventKinds.join(', ')}`);
  }
  const state = (['recorded', 'decided'] as const).find((each) => each === options.state) ?? null;
  if (options.state !== undefined && state === null) {
    throw misused(`--state is "${options.state}", but an event is recorded or decided`);
  }
  return {
    range: readRange(options, now, days(1)),
    provider: options.provider ?? null,
    kind,
    sim: options.sim ?? null,
    state,
  };
}

/** Reads --since and --until; throws OpsError `usage` when they are the wrong way round. */
export function readRange(
  options: { readonly since?: string; readonly until?: string },
  now: EpochMs,
  otherwise: DurationMs,
): TimeRange {
  const from =
    options.since === undefined ? before(now, otherwise) : readMoment('--since', options.since, now);
  const to = options.until === undefined ? now : readMoment('--until', options.until, now);
  if (from <= to) return { from, to };
  throw misused(
    `--since (${options.since ?? 'default'}) lies after --until (${options.until ?? 'now'}): turn them round`,
  );
}

/** The events of a filter by time, in bounded memory. */
export async function* findEvents(
  connection: Connection,
  filter: EventFilter,
  direction: Direction,
): AsyncGenerator<Versioned<EventRow>> {
  const { table, onUnreadable } = connection;
  const rows =
    filter.sim === null
      ? listEvents(table, filter.range, direction, onUnreadable)
      : eventsOfSim(connection, { ...filter, sim: filter.sim }, direction);
  for await (const row of rows) {
    if (matches(row.value, filter)) yield row;
  }
}

async function* eventsOfSim(
  { table, stage, onUnreadable }: Connection,
  filter: EventFilter & { readonly sim: string },
  direction: Direction,
): AsyncGenerator<Versioned<EventRow>> {
  for (const subject of subjectsNamed(filter.sim, stage, filter.provider)) {
    for await (const row of simTimeline(table, subject.key, filter.range, direction, onUnreadable)) {
      if (row.kind === 'event') yield row.row;
    }
  }
}

function matches({ event, state }: EventRow, filter: EventFilter): boolean {
  return (
    (filter.provider === null || event.provider === filter.provider) &&
    (filter.kind === null || event.facts.kind === filter.kind) &&
    (filter.state === null || state === filter.state)
  );
}

/** A range for people: `2026-11-21 05:00:00Z to 2026-11-22 05:00:00Z`. */
export function describeFilter(filter: EventFilter): string {
  const parts = [
    filter.provider === null ? '' : ` of ${filter.provider}`,
    filter.kind === null ? '' : ` of kind ${filter.kind}`,
    filter.sim === null ? '' : ` of SIM ${filter.sim}`,
    filter.state === null ? '' : ` that are ${filter.state}`,
  ];
  const iso = (moment: EpochMs): string => `${new Date(moment).toISOString().slice(0, 16)}Z`;
  return `events${parts.join('')} from ${iso(filter.range.from)} to ${iso(filter.range.to)}`;
}
