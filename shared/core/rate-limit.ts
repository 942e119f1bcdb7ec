import type { ProviderId } from './subject.ts';
import {
  after,
  before,
  type DurationMs,
  type EpochMs,
  epochMs,
  milliseconds,
  seconds,
  utcDay,
} from './time.ts';

/** What a provider account bears, over all workers together. */
export interface AccountLimits {
  readonly provider: ProviderId;
  readonly requestsPerSec: number;
  readonly connectionsMax: number | null;
  readonly requestsPerDay: number | null;
}

/** The sliding window of one provider account's requests, as stored. */
export interface LimitWindow {
  /** When granted requests leave at the latest, as they were granted; only those inside the window or to come. */
  readonly grants: readonly EpochMs[];
  /** UTC day of `dayCount`. */
  readonly day: string;
  readonly dayCount: number;
  /** Calls in flight: token to the moment at which it is given up for lost. */
  readonly inFlight: Readonly<Record<string, EpochMs>>;
  /** The latest slot that was promised to someone who has to wait. */
  readonly promisedUntil: EpochMs;
  /** The same for those who came back at their time and found no slot after all: they have a line of their own. */
  readonly promisedAgainUntil: EpochMs;
}

/**
 * The window is a little longer than the provider's second, because requests that leave evenly may arrive bunched.
 * A log of the last grants holds the limit in every window; GCRA allows twice the rate across a boundary.
 */
const windowLength = milliseconds(1_250);

export const emptyWindow: LimitWindow = {
  grants: [],
  day: '',
  dayCount: 0,
  inFlight: {},
  promisedUntil: 0 as EpochMs,
  promisedAgainUntil: 0 as EpochMs,
};

export type Grant =
  | { readonly kind: 'granted'; readonly window: LimitWindow }
  /** Come back at `until`: a slot that nobody else was sent to. */
  | { readonly kind: 'wait'; readonly until: EpochMs; readonly window: LimitWindow; readonly why: string };

export interface GrantRequest {
  readonly limits: AccountLimits;
  readonly now: EpochMs;
  /** Requests that are about to be made, one after the other. */
  readonly requests: number;
  /** True for who has waited for a promised slot already. */
  readonly hasWaited: boolean;
  /** Names the call in flight, where the provider limits connections. */
  readonly token: string;
  /** How long after the grant the requests may leave; their slots count as used for as long. */
  readonly leavesWithin: DurationMs;
  /** How long the call can take at most: after that its connection is counted as closed. */
  readonly holdFor: DurationMs;
}

/** Takes `requests` slots of the window, or says when to come back. */
export function takeSlots(window: LimitWindow, request: GrantRequest): Grant {
  const { limits, now, requests } = request;
  const current = roll(window, now);
  if (limits.requestsPerDay !== null && current.dayCount + requests > limits.requestsPerDay) {
    return {
      kind: 'wait',
      until: nextUtcDay(now),
      window: current,
      why: 'the account has used its requests of the day',
    };
  }
  if (limits.connectionsMax !== null && Object.keys(current.inFlight).length >= limits.connectionsMax) {
    return promise(current, request, 'the account has no free connection');
  }
  if (current.grants.length + requests > Math.max(requests, limits.requestsPerSec)) {
    return promise(current, request, 'the account has used its requests of this second');
  }
  const leavesBy = after(now, request.leavesWithin);
  const inFlight =
    limits.connectionsMax === null
      ? {}
      : { ...current.inFlight, [request.token]: after(now, request.holdFor) };
  return {
    kind: 'granted',
    window: {
      ...current,
      grants: [...current.grants, ...Array.from({ length: requests }, () => leavesBy)],
      dayCount: current.dayCount + requests,
      inFlight,
    },
  };
}

/** Gives the connection back after a call. */
export function releaseSlot(window: LimitWindow, token: string): LimitWindow {
  return {
    ...window,
    inFlight: Object.fromEntries(Object.entries(window.inFlight).filter(([name]) => name !== token)),
  };
}

/**
 * How much slower than the account's pace slots are promised. Nobody comes back at the very moment that was promised,
 * since queues count in seconds, so some find no slot; what is left of the pace is theirs.
 */
const promisedSlower = 1.2;

/**
 * Waiters get slots one after the other, so that they don't all come back at once. Who comes back in vain goes to a
 * second, short line: at the end of the first one, which may be twenty minutes long, its slot would be lost to all.
 */
function promise(
  window: LimitWindow,
  { limits, now, requests, hasWaited }: GrantRequest,
  why: string,
): Grant {
  const pace = milliseconds(Math.ceil((windowLength / limits.requestsPerSec) * requests * promisedSlower));
  const line = hasWaited ? 'promisedAgainUntil' : 'promisedUntil';
  const until = after(epochMs(Math.max(window[line], now)), pace);
  return { kind: 'wait', until, window: { ...window, [line]: until }, why };
}

function roll(window: LimitWindow, now: EpochMs): LimitWindow {
  const since = before(now, windowLength);
  const today = utcDay(now);
  return {
    grants: window.grants.filter((at) => at > since),
    day: today,
    dayCount: window.day === today ? window.dayCount : 0,
    inFlight: Object.fromEntries(Object.entries(window.inFlight).filter(([, until]) => until > now)),
    promisedUntil: window.promisedUntil,
    promisedAgainUntil: window.promisedAgainUntil,
  };
}

function nextUtcDay(now: EpochMs): EpochMs {
  const start = Date.parse(`${utcDay(now)}T00:00:00Z`) as EpochMs;
  return after(start, seconds(86_400 + 5));
}
