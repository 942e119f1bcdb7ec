import { minutes } from '../../shared/core/time.ts';
import { cause, changeRule, expiredEvent, holdCsssOrder, openWorld, pass } from '../flow/act/act-world.ts';
import { type Bench, round } from './report.ts';

/** Requests that the provider allows in any second. Source: design, section 9. */
const providerPerSec = 10;

/**
 * A month's end: so many SIMs whose plans expired at the same moment, at a provider that takes ten requests a second,
 * with the real act function and CSSS client on a clock that jumps. What is measured is the pace, not our CPU.
 */
export const coalescingBench: Bench = async ({ quick }) => {
  const sims = quick ? 40 : 900;
  const rows = [];
  const spared = { lookBeforeOrder: false, zoneOffsetMinutes: 480 };
  for (const [name, simsPerCall, settings] of [
    ['each SIM by itself', 1, {}],
    ['up to 20 SIMs in one call', 20, {}],
    ['each SIM by itself, without a look before', 1, spared],
    ['up to 20 SIMs in one call, without a look before', 20, spared],
  ] as const) {
    const run = await playMonthEnd(sims, simsPerCall, settings);
    rows.push([name, run.perMinute, run.paidRequests, run.questions, round(run.requestsPerSec), run.twice]);
  }
  return {
    about: `${sims} SIMs whose plans expire at once, ${providerPerSec} requests a second, one worker.`,
    header: [
      'renewals',
      'a minute',
      'paid requests',
      'questions',
      'requests a second',
      'SIMs bought for twice',
    ],
    rows,
    notes: ['The look before a call asks what the SIM’s records show now; lookBeforeOrder: false spares it.'],
  };
};

async function playMonthEnd(sims: number, simsPerCall: number, settings: object) {
  const world = await openWorld(1);
  world.csssSettings = settings;
  changeRule(world, 'order-again-after-expiry', { simsPerCall });
  const caps = { dayMinor: null, monthMinor: null };
  const providers = world.policy.providers.map((one) => ({ ...one, caps, purchasesPerHour: 1_000_000 }));
  world.policy = { ...world.policy, providers };
  for (let n = 1; n <= sims; n++) {
    holdCsssOrder(world, n, `ORDER_HELD_${n}`, 'ended');
    await cause(world, expiredEvent(world, n));
  }
  const begun = world.scheduler.now();
  const { purchases } = world.simulator.books;
  for (let minute = 0; minute < 60 && purchases.length < sims; minute++) await pass(world, minutes(1));
  const took = Math.max(...purchases.map(({ at }) => at)) - begun;
  const paid = world.sent.filter(({ path }) => /Order?Packages?$/i.test(path)).length;
  return {
    perMinute: Math.round((purchases.length / took) * 60_000),
    paidRequests: paid,
    questions: world.sent.length - paid,
    requestsPerSec: world.sent.length / (took / 1_000),
    twice: purchases.length - new Set(purchases.map(({ simId }) => simId)).size,
  };
}
