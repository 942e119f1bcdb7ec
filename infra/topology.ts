import { type DurationMs, days, minutes, seconds } from '../shared/core/time.ts';

/** The numbers that both worlds obey. Relations between them are asserted below, at import. */
export const topology = {
  receive: { timeout: seconds(10), memoryMb: 512, bodyBytesMax: 256 * 1024 },
  decide: { timeout: seconds(30), memoryMb: 512, batchSize: 10, concurrencyMax: 20 },
  /**
   * A purchase is mostly waiting for the provider, so a few share an invocation and wait at once; more would all be in
   * doubt together when it dies. Times and leases are each action's own.
   */
  act: { timeout: seconds(60), memoryMb: 512, batchSize: 5, concurrencyMax: 8 },
  sweep: { timeout: seconds(55), memoryMb: 512, every: minutes(1) },
  reconcile: { timeout: minutes(14), memoryMb: 512, every: minutes(60) },
  queue: {
    /** Deliveries before a message goes to the dead-letter queue; the sweep brings the work itself back anyway. */
    receivesMax: 5,
    eventsVisibility: minutes(3),
    actionsVisibility: minutes(6),
    retention: days(4),
    deadLetterRetention: days(14),
  },
  /** What each callback route lets through: the design's burst, and no flood that costs money. */
  api: { requestsPerSec: 500, burst: 1_000 },
  /** Failed work must be explainable for 90 days. */
  logs: { retention: days(90) },
  lease: {
    /** Longer than an act function can live, so that a lease that ran out means that its worker is gone. */
    duration: seconds(90),
    /** A paid call starts within this of its claim, or not at all. */
    startWithin: seconds(10),
  },
  /** Longest whole paid call that a provider's profile may name. */
  callTimeoutMax: seconds(20),
} as const;

interface Relation {
  readonly holds: boolean;
  readonly says: string;
}

/** What must hold between the numbers; each line with the harm that it prevents. */
export function relations(t: typeof topology): readonly Relation[] {
  const atLeast = (a: DurationMs, b: number, says: string): Relation => ({
    holds: a >= b,
    says: `${says} (${a} < ${b})`,
  });
  return [
    atLeast(
      t.queue.eventsVisibility,
      6 * t.decide.timeout,
      'events visibility >= 6 x decide timeout, or one event is decided twice at once',
    ),
    atLeast(
      t.queue.actionsVisibility,
      6 * t.act.timeout,
      'actions visibility >= 6 x act timeout, or one action runs twice at once',
    ),
    atLeast(t.lease.duration, t.act.timeout + 1, 'lease > act timeout, or a live worker loses its lease'),
    atLeast(
      t.act.timeout,
      t.lease.startWithin + t.callTimeoutMax,
      'act timeout > start window + call, or Lambda cuts a paid call',
    ),
    atLeast(
      t.queue.deadLetterRetention,
      t.queue.retention + 1,
      'dead-letter retention > retention, or messages vanish unseen',
    ),
    atLeast(t.sweep.every, t.sweep.timeout, 'sweep interval >= its timeout, or sweeps pile up'),
  ];
}

for (const relation of relations(topology)) {
  if (!relation.holds) throw new Error(`infra/topology.ts: ${relation.says}`);
}
