import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Random, seededRandom } from '../../shared/platform/random.ts';
import type { FaultRule } from '../provider-simulator/faults.ts';
import { createSimulator, type Simulator } from '../provider-simulator/simulator.ts';
import {
  boughtOnVerifiedClaim,
  everyActionEndsKnown,
  everyAnswerStoredOnce,
  everyEventDecided,
  factIn,
  type Judge,
  ledgerAgrees,
  oneOrderPerCause,
} from '../seeded/oracle.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { finish, judgeOf, pathToken, startSystem, writeStage } from './kill-world.ts';

const killsMax = 22;

/** The last life before the last kill is longer, so that callbacks whose tries met nobody get through. */
const lastLifeMs = 4_000;

// Two cores shared with other tests: most of the time goes into starting the processes.
test('loses nothing and buys nothing twice when its process is killed again and again', {
  timeout: 120_000,
}, async () => {
  const seed = Number(process.env.KILL_SEED ?? Math.floor(Date.now() / 1_000));
  process.stdout.write(`kill test: KILL_SEED=${seed}\n`);
  const random = seededRandom(seed);
  const { path: folder, remove } = temporaryFolder();
  const simulator = await createSimulator({
    unknownSims: 'refuse',
    callbacks: {
      retryDelaysMs: {
        eiotclub: Array.from({ length: 60 }, () => 1_000),
        'linksfield-csss': Array.from({ length: 60 }, () => 1_000),
        'linksfield-cube': [],
      },
      timeoutMs: 2_000,
    },
  });
  try {
    const stageFile = writeStage(folder, await simulator.listen());
    for (const fault of providerFaults(random)) simulator.faults.add(fault);
    const since = Date.now();
    const kills = await liveAndDie({ folder, stageFile, since, random, simulator });
    simulator.faults.clear();
    const answered = await stopCallbacks(simulator);
    const stage = await finish(folder, stageFile, since);
    const judge = await judgeOf(folder, stage, simulator);
    judgeAll(judge, simulator, answered);
    const adopted = [...judge.actions.values()].filter(
      (a) => a.state.name === 'succeeded' && a.state.adopted,
    );
    const cutOff = [...judge.actions.values()].filter((a) =>
      a.attemptLog.some((one) => one.detail === 'the lease ran out'),
    );
    process.stdout.write(
      `${kills.ready} kills at work and ${kills.booting} while starting; ${simulator.callbacks.list().length} callbacks, ` +
        `${answered.size} facts answered 2xx, ${judge.events.size} stored, ${judge.actions.size} actions, ` +
        `${simulator.orders().length} orders bought, ${cutOff.length} calls cut off by a kill, ${adopted.length} orders adopted\n`,
    );
    expect(kills.ready + kills.booting).toBe(killsMax);
    expect(kills.ready).toBeGreaterThanOrEqual(10);
    expect(simulator.orders().length).toBeGreaterThan(50);
    expect(adopted.length).toBeGreaterThan(0);
    expect(judge.violation).toBeNull();
  } finally {
    await simulator.close();
    remove();
  }
});

/** Answers that are slow enough to be killed in the middle of, and some that never come whole. */
function providerFaults(random: Random): readonly FaultRule[] {
  const paid = (share: number, fault: FaultRule['fault']): FaultRule => ({
    match: ({ path }) => path.endsWith('/orderPackage') && random.fraction() < share,
    times: Number.POSITIVE_INFINITY,
    fault,
  });
  return [
    paid(0.04, { kind: 'drop', commit: true }),
    paid(0.04, { kind: 'http-error', status: 503, commit: true }),
    paid(0.02, { kind: 'drop', commit: false }),
    paid(0.6, { kind: 'slow', afterMs: 250 }),
  ];
}

interface Life {
  readonly folder: string;
  readonly stageFile: string;
  readonly since: number;
  readonly random: Random;
  readonly simulator: Simulator;
}

/** Starts, loads and kills the system; every fourth life ends before it has begun to listen. */
async function liveAndDie(life: Life): Promise<{ readonly ready: number; readonly booting: number }> {
  const { random, simulator } = life;
  const counts = { ready: 0, booting: 0 };
  let port = 0;
  for (let n = 0; n < killsMax; n++) {
    const system = startSystem({ ...life, port });
    if (n % 4 === 3) {
      await pause(random.integer(50, 500));
      counts.booting += 1;
    } else {
      const url = await system.ready;
      if (url === null) throw new Error('the system ended before it was killed');
      port = Number(new URL(url).port);
      simulator.callbacks.setUrl('eiotclub', `${url}/callbacks/eiotclub`);
      simulator.callbacks.setUrl('linksfield-csss', `${url}/callbacks/linksfield-csss/${pathToken}`);
      load(simulator, random, n);
      await pause(n === killsMax - 1 ? lastLifeMs : random.integer(20, 900));
      counts.ready += 1;
    }
    await system.kill();
  }
  return counts;
}

/** New SIMs with something to buy for each life, each with bursts and repeats, and a forged message among them. */
function load(simulator: Simulator, random: Random, life: number): void {
  for (let n = 0; n < 8; n++) {
    const iccid = `898520${String(1_000_000_000_000 + life * 1_000 + n * 7)}`;
    simulator.addSim({ provider: 'eiotclub', simId: iccid });
    for (let level = 1; level <= random.integer(1, 3); level++) {
      const body = {
        event: 'FlowAlert',
        id: `simk${life}x${n}y${level}`,
        iccid,
        alert_type: level,
        alert_value: '9',
      };
      for (let times = 0; times < random.integer(1, 2); times++) simulator.emit('eiotclub', body);
    }
  }
  for (let n = 0; n < 3; n++) {
    const simId = `898521${String(1_000_000_000_000 + life * 1_000 + n * 7)}`;
    const orderId = `ORDER_HELD_${simId}`;
    simulator.addSim({
      provider: 'linksfield-csss',
      simId,
      packages: [{ code: 'DP20190726001274', state: 'active', orderId }],
    });
    simulator.expireOrder(orderId);
  }
  const forged = {
    event: 'FlowAlert',
    id: `simf${life}`,
    iccid: '8985201000000000000',
    alert_type: 1,
    sign: 'A'.repeat(40),
  };
  simulator.emit('eiotclub', forged);
}

/** Ends the callbacks' tries; gives the facts that were answered 2xx at least once. */
async function stopCallbacks(simulator: Simulator): Promise<ReadonlySet<string>> {
  simulator.callbacks.stop();
  await simulator.callbacks.settled();
  const answered = simulator.callbacks.list().flatMap((delivery) => {
    const isGood = delivery.tries.some(({ status }) => status !== null && status >= 200 && status < 300);
    const fact = delivery.lastMessage === null ? null : factIn(delivery.lastMessage.bodyText);
    return isGood && fact !== null ? [fact] : [];
  });
  return new Set(answered);
}

/** Invariants 1 to 8; 4 and 7 were checked as the rows were read. */
function judgeAll(judge: Judge, simulator: Simulator, answered: ReadonlySet<string>): void {
  for (const fact of answered) everyAnswerStoredOnce(judge, fact);
  everyEventDecided(judge, 'at the end');
  for (const delivery of simulator.callbacks.list()) {
    const fact = delivery.lastMessage === null ? null : factIn(delivery.lastMessage.bodyText);
    const forged = fact?.startsWith('simf') ?? false;
    if (fact !== null)
      judge.claims.set(fact, { genuine: () => !forged, what: forged ? 'forged' : 'genuine' });
    if (forged) expect(answered).not.toContain(fact);
  }
  const waiting = [...judge.actions.values()].filter(
    ({ state }) => state.name === 'parked' || state.name === 'held',
  );
  everyActionEndsKnown(judge, new Set(waiting.map(({ actionId }) => actionId)));
  for (const bought of judge.purchases) {
    oneOrderPerCause(judge, bought);
    boughtOnVerifiedClaim(judge, bought);
  }
  ledgerAgrees(judge);
}
