import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyPool,
  gatherFor,
  type JoinRequest,
  joinPool,
  type Pool,
  poolInLine,
} from '../../../shared/core/coalesce.ts';
import { after, type EpochMs, hours, milliseconds, minutes, seconds } from '../../../shared/core/time.ts';
import { noon } from './samples.ts';

const request = (actionId: string, changes: Partial<JoinRequest> = {}): JoinRequest => ({
  actionId,
  simsPerCall: 3,
  now: noon,
  jitter: 0,
  ...changes,
});

const closesAt = after(noon, gatherFor);
const poolOf = (...members: readonly string[]): Pool => ({ members, closesAt });

describe('a pool of actions that may leave in one call', () => {
  it('is opened by the first, who comes back when it closes', () => {
    expect(joinPool(emptyPool, request('a'))).toEqual({ kind: 'wait', pool: poolOf('a'), until: closesAt });
  });

  it('takes a second in, who waits to be taken along', () => {
    const joining = joinPool(poolOf('a'), request('b'));
    expect(joining).toMatchObject({ kind: 'wait', pool: poolOf('a', 'b') });
    expect(joining.kind === 'wait' && joining.until).toBeGreaterThan(closesAt);
  });

  it('is taken at once by whoever fills it', () => {
    expect(joinPool(poolOf('a', 'b'), request('c'))).toEqual({
      kind: 'lead',
      members: ['c', 'a', 'b'],
      rest: emptyPool,
    });
  });

  it('is taken when it closes, by any member that comes, full or not', () => {
    expect(joinPool(poolOf('a', 'b'), request('b', { now: closesAt }))).toEqual({
      kind: 'lead',
      members: ['b', 'a'],
      rest: emptyPool,
    });
  });

  it('is taken by a newcomer who finds it closed, since whoever should have led is late', () => {
    expect(joinPool(poolOf('a'), request('b', { now: closesAt }))).toMatchObject({ members: ['b', 'a'] });
  });

  it('keeps those for whom there is no room, for the next who comes', () => {
    expect(joinPool(poolOf('a', 'b', 'c'), request('d', { now: closesAt }))).toEqual({
      kind: 'lead',
      members: ['d', 'a', 'b'],
      rest: { members: ['c'], closesAt },
    });
  });

  it('sends a newcomer away while it is full and about to leave', () => {
    expect(joinPool(poolOf('a', 'b', 'c'), request('d', { jitter: 0.5 }))).toEqual({
      kind: 'wait',
      pool: null,
      until: after(closesAt, seconds(1)),
    });
  });

  it('changes nothing for a member that comes early', () => {
    expect(joinPool(poolOf('a', 'b'), request('a'))).toEqual({ kind: 'wait', pool: null, until: closesAt });
    expect(joinPool(poolOf('a', 'b'), request('b'))).toMatchObject({ kind: 'wait', pool: null });
  });

  it('is taken at once when it is to close later than any pool waits: some clock ran ahead', () => {
    const ahead = { members: ['a'], closesAt: after(noon, minutes(2)) };
    expect(joinPool(ahead, request('b'))).toMatchObject({ kind: 'lead', members: ['b', 'a'] });
  });

  it('waits a minute at most for a slot, and does not grow without end with leaders in vain', () => {
    let pool = poolOf('a', 'b', 'c');
    for (let n = 0; n < 300; n++) {
      const now = after(pool.closesAt, seconds(1));
      const joining = joinPool(pool, request(`in-vain-${n}`, { now }));
      if (joining.kind !== 'lead') throw new Error('a closed pool is led');
      pool = poolInLine(joining, after(now, hours(9)), now);
      expect(pool.closesAt).toBe(after(now, minutes(1)));
    }
    expect(pool.members).toHaveLength(100);
    expect(pool.members[0]).toBe('in-vain-299');
    const soon = after(noon, seconds(2));
    const joining = { kind: 'lead', members: ['a'], rest: emptyPool } as const;
    expect(poolInLine(joining, soon, noon)).toEqual({ members: ['a'], closesAt: soon });
  });

  it('never leads with more than one call takes, with nobody twice, and forgets nobody', () => {
    const step = fc.record({
      actionId: fc.constantFrom(...'abcdefgh'),
      passes: fc.integer({ min: 0, max: 4_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 2, max: 4 }), (steps, simsPerCall) => {
        let pool = emptyPool;
        let now: EpochMs = noon;
        for (const { actionId, passes } of steps) {
          now = after(now, milliseconds(passes));
          const before = new Set([...pool.members, actionId]);
          const joining = joinPool(pool, { actionId, simsPerCall, now, jitter: 0.5 });
          if (joining.kind === 'wait') {
            expect(joining.until).toBeGreaterThan(now);
            expect(joining.until).toBeLessThan(after(now, seconds(90)));
            pool = joining.pool ?? pool;
            continue;
          }
          expect(joining.members.length).toBeLessThanOrEqual(simsPerCall);
          expect(joining.members).toContain(actionId);
          const all = [...joining.members, ...joining.rest.members];
          expect(new Set(all)).toEqual(before);
          expect(all).toHaveLength(before.size);
          pool = joining.rest;
        }
      }),
    );
  });
});
