import { describe, expect, it } from 'vitest';
import { simulateRules } from '../../../infra/ops/rules-simulation.ts';
import { after, type EpochMs, hours, minutes } from '../../../shared/core/time.ts';
import { event, noOrder, noon, policy, providerPolicy, rule, subject, usd } from '../core/samples.ts';

let count = 0;
const alertAt = (receivedAt: EpochMs, iccid?: string) => {
  count += 1;
  return event({
    eventId: `evt_${String(count).padStart(32, '0')}`,
    receivedAt,
    occurredAt: receivedAt,
    subject: subject(iccid),
  });
};
const other = '89852000263320817051';

describe('rules over stored events', () => {
  it('buy once within the cool-down and again after it', () => {
    const run = simulateRules(policy([rule({ cooldown: hours(12) })]));
    const kinds = [0, 1, 11, 13].map((at) => run.step(alertAt(after(noon, hours(at))), null).kind);
    expect(kinds).toEqual(['buys', 'pass', 'pass', 'buys']);
  });

  it('stop at the cap of a rule per day and go on the next day', () => {
    const run = simulateRules(policy([rule({ caps: { dayMinor: 700, monthMinor: null } })]));
    expect(run.step(alertAt(noon), null)).toMatchObject({ kind: 'buys', cost: usd(500) });
    expect(run.step(alertAt(noon, other), null)).toMatchObject({
      kind: 'stopped',
      why: expect.stringContaining('rule renew-low-data for 2026-01-14 is 700, this would make it 1000'),
    });
    expect(run.step(alertAt(after(noon, hours(12)), other), null).kind).toBe('buys');
  });

  it("stop at a SIM's cap and at its velocity breaker", () => {
    const caps = providerPolicy({ simCaps: { dayMinor: 900, monthMinor: null } });
    const capped = simulateRules(policy([rule({ cooldown: minutes(1) })], [caps]));
    expect(capped.step(alertAt(noon), null).kind).toBe('buys');
    expect(capped.step(alertAt(after(noon, hours(1))), null)).toMatchObject({
      kind: 'stopped',
      why: expect.stringContaining("SIM's cap"),
    });
    const fast = simulateRules(
      policy(
        [rule({ cooldown: minutes(1) })],
        [providerPolicy({ simVelocity: { max: 2, window: hours(6) } })],
      ),
    );
    const kinds = [0, 1, 2, 7].map((at) => fast.step(alertAt(after(noon, hours(at))), null).kind);
    expect(kinds).toEqual(['buys', 'buys', 'stopped', 'buys']);
  });

  it('count what needs approval as bought, and say so', () => {
    const run = simulateRules(policy([rule({ approval: true })]));
    expect(run.step(alertAt(noon), null)).toMatchObject({ kind: 'buys', needsApproval: true });
  });

  it('never spend on the echo of a real purchase', () => {
    const run = simulateRules(policy([rule({}, { kind: 'package-ordered' })]));
    const echo = event({ facts: { kind: 'package-ordered', order: noOrder } });
    expect(run.step(echo, 'act_real')).toMatchObject({ kind: 'pass', why: 'renew-low-data: own-purchase' });
    expect(run.step(event({ ...echo, eventId: 'evt_2', subject: subject(other) }), null).kind).toBe('buys');
  });

  it('say why nothing comes of an event', () => {
    const run = simulateRules(policy([rule({ enabled: false })]));
    expect(run.step(alertAt(noon), null)).toEqual({ kind: 'pass', why: 'renew-low-data: disabled' });
    expect(simulateRules(policy([])).step(alertAt(noon), null)).toEqual({
      kind: 'pass',
      why: 'no rule speaks for it',
    });
  });
});
