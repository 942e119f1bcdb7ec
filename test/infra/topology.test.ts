import { describe, expect, it } from 'vitest';
import { bodyBytesMax } from '../../functions/receive/receive.ts';
import { relations, topology } from '../../infra/topology.ts';
import { type DurationMs, milliseconds } from '../../shared/core/time.ts';
import { providers } from '../../shared/providers/registry.ts';

type Numbers = typeof topology;
const less = (span: DurationMs): DurationMs => milliseconds(span - 1);

describe('numbers of the topology', () => {
  it('hold every relation as they stand', () => {
    expect(relations(topology).filter(({ holds }) => !holds)).toEqual([]);
  });

  it.each<[string, Numbers]>([
    [
      'events visibility',
      {
        ...topology,
        queue: { ...topology.queue, eventsVisibility: less(milliseconds(6 * topology.decide.timeout)) },
      },
    ],
    [
      'actions visibility',
      {
        ...topology,
        queue: { ...topology.queue, actionsVisibility: less(milliseconds(6 * topology.act.timeout)) },
      },
    ],
    ['lease', { ...topology, lease: { ...topology.lease, duration: topology.act.timeout } }],
    ['act timeout', { ...topology, callTimeoutMax: topology.act.timeout }],
    [
      'dead-letter retention',
      { ...topology, queue: { ...topology.queue, deadLetterRetention: topology.queue.retention } },
    ],
    ['sweep interval', { ...topology, sweep: { ...topology.sweep, every: less(topology.sweep.timeout) } }],
  ])('are refused when %s is broken, and only that relation speaks', (name, broken) => {
    const failed = relations(broken).filter(({ holds }) => !holds);
    expect(failed).toHaveLength(1);
    expect(failed[0]?.says).toContain(name);
  });

  it('name a body limit that receive obeys', () => {
    expect(topology.receive.bodyBytesMax).toBe(bodyBytesMax);
  });

  it('leave room for the longest call of each provider', () => {
    for (const { id, profile } of providers) {
      expect(profile.callTimeout, id).toBeLessThanOrEqual(topology.callTimeoutMax);
    }
  });
});
