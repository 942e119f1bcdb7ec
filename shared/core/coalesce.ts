import { after, type EpochMs, epochMs, milliseconds, minutes, seconds } from './time.ts';

/**
 * Actions of one rule and plan that wait to leave in one call. A hint, like a queue's message: what is bought is decided
 * by each action's own row and claim, and an action that a pool loses comes back at its own due time.
 */
export interface Pool {
  /** Action ids in the order in which they came. */
  readonly members: readonly string[];
  /** When it stops waiting for more, full or not. */
  readonly closesAt: EpochMs;
}

export const emptyPool: Pool = { members: [], closesAt: 0 as EpochMs };

export type Joining =
  /** Wait until then; `pool` is what to store first, null when nothing changes. */
  | { readonly kind: 'wait'; readonly pool: Pool | null; readonly until: EpochMs }
  /** Take these members to the provider, after storing `rest` in the pool's place. */
  | { readonly kind: 'lead'; readonly members: readonly string[]; readonly rest: Pool };

export interface JoinRequest {
  readonly actionId: string;
  /** Most members that one call takes. */
  readonly simsPerCall: number;
  readonly now: EpochMs;
  readonly jitter: number;
}

/** How long the first member waits for others. Twenty questions before the call take two seconds at ten a second. */
export const gatherFor = seconds(5);

/**
 * How long a pool waits at most, also where its leader waits longer for a slot: whoever comes later may find one sooner,
 * such as after the limit of a day was raised. A pool that is to close later was written by a clock that runs ahead.
 */
const openAtMost = minutes(1);

/** Members look again so long after the close (and up to as long again), in case whoever leads is lost. */
const leaderLostAfter = seconds(30);

/** Who finds a full pool comes back so long after it has left, to open or join the next one. */
const nextPoolWithin = seconds(2);

/**
 * Adds an action to the pool of its plan. The first member leads when the pool closes, and the one that fills it leads
 * at once; all others wait to be taken along.
 */
export function joinPool(pool: Pool, { actionId, simsPerCall, now, jitter }: JoinRequest): Joining {
  const isMember = pool.members.includes(actionId);
  const isFull = pool.members.length >= simsPerCall;
  const isClosed =
    pool.members.length > 0 && (pool.closesAt <= now || pool.closesAt > after(now, openAtMost));
  const afterClose = after(pool.closesAt, milliseconds(leaderLostAfter * (1 + jitter)));
  if (isFull && !isMember && !isClosed) {
    return { kind: 'wait', pool: null, until: after(pool.closesAt, milliseconds(nextPoolWithin * jitter)) };
  }
  if (isClosed || (!isMember && pool.members.length + 1 >= simsPerCall)) {
    const others = pool.members.filter((id) => id !== actionId);
    const rest = others.slice(simsPerCall - 1);
    return {
      kind: 'lead',
      members: [actionId, ...others.slice(0, simsPerCall - 1)],
      rest: rest.length === 0 ? emptyPool : { members: rest, closesAt: now },
    };
  }
  if (pool.members.length === 0) {
    const closesAt = after(now, gatherFor);
    return { kind: 'wait', pool: { members: [actionId], closesAt }, until: closesAt };
  }
  if (isMember) {
    const until = pool.members[0] === actionId ? pool.closesAt : afterClose;
    return { kind: 'wait', pool: null, until };
  }
  const grown = { ...pool, members: [...pool.members, actionId] };
  return { kind: 'wait', pool: grown, until: afterClose };
}

/** More than a few calls take along; those beyond come back by themselves. */
const membersMax = 100;

/** The pool of a leader that found no slot before `until`: it goes on gathering. */
export function poolInLine(
  { members, rest }: Extract<Joining, { kind: 'lead' }>,
  until: EpochMs,
  now: EpochMs,
): Pool {
  const closesAt = epochMs(Math.min(until, after(now, openAtMost)));
  // A newcomer that leads in vain is one more each time.
  return { members: [...members, ...rest.members].slice(0, membersMax), closesAt };
}
