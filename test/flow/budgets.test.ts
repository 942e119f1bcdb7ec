import { beforeAll, describe, expect, it } from 'vitest';
import { type Metered, type MeteredFlow, runMeteredFlow } from '../bench/metered-flow.ts';

/*
 * What one callback may ask of DynamoDB and SQS, exactly. Whoever adds a call or makes a row grow over a KB sees it
 * here, and decides whether it is worth the money: a write unit a callback is 0.63 dollars a million.
 */

let flow: MeteredFlow;
beforeAll(async () => {
  flow = await runMeteredFlow();
});

const none = { get: 0, getMany: 0, query: 0, write: 0, transaction: 0 };

describe('a callback', () => {
  it('costs one write and one send when it is new, and no read', () => {
    expect(flow.accepted.table.calls).toEqual({ ...none, write: 1 });
    expect(flow.accepted.queue).toEqual({ sends: 1, receives: 0, acknowledges: 0 });
  });

  it('costs one write and no send when it is a duplicate', () => {
    expect(flow.duplicate.table.calls).toEqual({ ...none, write: 1 });
    expect(flow.duplicate.queue).toEqual({ sends: 0, receives: 0, acknowledges: 0 });
  });

  it('costs 4 write units when it is new: the row and its 3 index entries', () => {
    expect(flow.accepted.table.writeUnits).toBe(4);
  });

  it('costs 1 write unit when it is a duplicate: the refused write', () => {
    expect(flow.duplicate.table.writeUnits).toBe(1);
  });
});

describe('a callback that no rule can match', () => {
  it('costs one write of 3 units, the row and 2 index entries, and is done', () => {
    expect(flow.unmatched.table.calls).toEqual({ ...none, write: 1 });
    expect(flow.unmatched.table.writeUnits).toBe(3);
    expect(flow.unmatched.queue).toEqual({ sends: 0, receives: 0, acknowledges: 0 });
  });
});

describe('the log', () => {
  it('takes one line a step, with its figures in it', () => {
    const steps = Object.entries<Metered>({ ...flow });
    expect(steps).toHaveLength(6);
    for (const [step, { logLines }] of steps) {
      expect([step, logLines.length]).toEqual([step, 1]);
      expect([step, logLines.filter((bytes) => bytes > 1_000)]).toEqual([step, []]);
    }
  });
});

describe('judging an event', () => {
  it('costs two reads and one write of 2 units, row and due entry, when a rule asks for it and passes', () => {
    expect(flow.passed.table.calls).toEqual({ ...none, get: 2, write: 1 });
    expect(flow.passed.table.writeUnits).toBe(2);
    expect(flow.passed.queue.sends).toBe(0);
  });

  it('costs two reads, one transaction of 14 units and one send when a rule acts', () => {
    expect(flow.decided.table.calls).toEqual({ ...none, get: 2, transaction: 1 });
    expect(flow.decided.table.writeUnits).toBe(14);
    expect(flow.decided.queue.sends).toBe(1);
  });
});

describe('acting, when the provider answers at once', () => {
  it('costs two slots of the rate limit, for the price and the purchase, and two transactions', () => {
    expect(flow.acted.table.calls).toMatchObject({ query: 0, write: 2, transaction: 2 });
    expect(flow.acted.queue.sends).toBe(0);
  });

  it('costs six requests to read: what stands for or against the purchase is one, before the questions and the claim', () => {
    expect(flow.acted.table.calls).toMatchObject({ get: 4, getMany: 2 });
  });

  it('costs 8 write units to claim: action, SIM, and the counters of day and month, and no index moves', () => {
    const claim = flow.acted.table.writes[2];
    expect(claim?.what).toHaveLength(4);
    expect(claim?.units).toBe(8);
  });

  it('costs 8 write units to settle: action with its due entry, SIM and the tie of the order number', () => {
    const settled = flow.acted.table.writes[3];
    expect(settled?.what).toHaveLength(3);
    expect(settled?.units).toBe(8);
  });
});
