import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEmbeddedEngines } from '../../infra/local/engines.ts';
import { checkStage } from '../../infra/local/load-stage.ts';
import { memorySecretSource } from '../../infra/local/local-secrets.ts';
import { openLocalSystem } from '../../infra/local/system.ts';
import { epochMs } from '../../shared/core/time.ts';
import { silentLog } from '../../shared/platform/log.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import type { Stage } from '../../shared/policy/stage.ts';
import { providers } from '../../shared/providers/registry.ts';
import { capDayKey } from '../../shared/store/item-layout.ts';
import { readRow } from '../../shared/store/rows.ts';
import { openSqliteTable, type SqliteTable } from '../../shared/store/sqlite-table.ts';
import type { Simulator } from '../provider-simulator/simulator.ts';
import { simulatorDefaults } from '../provider-simulator/simulator.ts';
import { createJudge, type Judge, onWritten } from '../seeded/oracle.ts';

export const pathToken = 'fedcba9876543210fedcba9876543210';

/** How much faster than the machine's clock the killed processes live: a lease of 90 s is over in one and a half. */
const speed = 60;

const program = fileURLToPath(new URL('../../infra/local/start.ts', import.meta.url));
const fastClock = new URL('../support/fast-clock.ts', import.meta.url).href;

/** The stage of the killed system, as the JSON file that its operator would write. */
export function writeStage(folder: string, simulatorUrl: string): string {
  const keys = (callback: string, api: string, token: string | null) => ({
    callback: [{ keyId: null, value: callback }],
    api: [{ keyId: null, value: api }],
    pathToken: token,
  });
  const { eiotclub, csss } = simulatorDefaults;
  const limits = { requestsPerSec: 100, callTimeout: '5s' };
  const stage = {
    name: 'kill',
    providers: {
      eiotclub: {
        currency: 'USD',
        settings: { baseUrl: simulatorUrl, appkey: eiotclub.appkey },
        limits,
        caps: { sim: { day: '20.00 USD' }, provider: { day: '5000.00 USD' } },
        secrets: keys(eiotclub.callbackSecret, eiotclub.secret, null),
      },
      'linksfield-csss': {
        currency: 'CNY',
        settings: { baseUrl: simulatorUrl, accessCode: csss.accessCode },
        callbacks: { acceptUnsigned: true },
        limits,
        caps: { sim: { day: '20.00 CNY' }, provider: { day: '5000.00 CNY' } },
        secrets: keys(csss.callbackSecret, csss.secret, pathToken),
      },
    },
    rules: [
      {
        id: 'renew-low-data',
        provider: 'eiotclub',
        when: { kind: 'usage-alert' },
        do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
        maxCost: '5.00 USD',
        cooldown: '7d',
      },
      {
        id: 'order-again',
        provider: 'linksfield-csss',
        when: { kind: 'order-status', statuses: ['expired'] },
        do: {
          kind: 'order',
          plan: {
            packageCode: 'DP20190726001274',
            packageName: 'C_M_0_P_20M',
            packageType: '2',
            payAmount: '3.00',
          },
        },
        maxCost: '3.00 CNY',
        cooldown: '7d',
      },
    ],
  };
  const path = join(folder, 'stage.json');
  writeFileSync(path, JSON.stringify(stage));
  return path;
}

export interface Killable {
  /** Resolves with the base URL of its callbacks once it listens; null when it ended before. */
  readonly ready: Promise<string | null>;
  /** SIGKILL, and waits until the process is gone. */
  kill(): Promise<void>;
}

/** Starts `infra/local/start.ts` as a process of its own on the data folder given. */
export function startSystem(options: {
  readonly folder: string;
  readonly stageFile: string;
  readonly port: number;
  readonly since: number;
}): Killable {
  const { folder, stageFile, port, since } = options;
  const args = [
    '--import',
    fastClock,
    program,
    '--port',
    String(port),
    '--data',
    folder,
    '--stage',
    stageFile,
  ];
  const child = spawn(process.execPath, [...args, '--no-simulator'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FAST_CLOCK_SINCE: String(since), FAST_CLOCK_SPEED: String(speed) },
  });
  const gone = once(child, 'exit');
  return {
    ready: urlOf(child),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

function urlOf(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let text = '';
    let trouble = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      if (text.length > 10_000) return;
      text += chunk.toString('utf8');
      const url = /POST (http:\/\/[^/]+)\/callbacks\/eiotclub/.exec(text);
      if (url?.[1] !== undefined) resolve(url[1]);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      trouble += chunk.toString('utf8').slice(0, 2_000);
    });
    child.once('exit', (code) => {
      if (code === null) resolve(null);
      else reject(new Error(`the system ended with code ${code}: ${trouble}`));
    });
  });
}

const isWork = "due_pk IS NOT NULL AND due_pk NOT LIKE 'WAITING%'";

/** Lets the last survivor finish in this process, hour after hour, until nothing is left to do. */
export async function finish(folder: string, stageFile: string, since: number): Promise<Stage> {
  const text = readFileSync(stageFile, 'utf8');
  const stage = checkStage({ input: JSON.parse(text), fileName: stageFile, text }, providers);
  let ahead = 0;
  const clock = () => epochMs(Math.round(since + (Date.now() - since) * speed) + ahead);
  const file = join(folder, 'simhook.db');
  const engines = openEmbeddedEngines(
    file,
    stage.providers.map(({ id }) => id),
    clock,
  );
  const look = openSqliteTable({ path: file, now: clock });
  const isDone = (): boolean =>
    look.database.prepare(`SELECT 1 FROM items WHERE ${isWork} LIMIT 1`).get() === undefined &&
    look.database.prepare("SELECT 1 FROM messages WHERE queue NOT LIKE '%-dead' LIMIT 1").get() === undefined;
  const system = openLocalSystem({
    stage,
    providers,
    ...engines,
    secrets: memorySecretSource(stage.secrets),
    clock,
    random: seededRandom(1),
    log: silentLog,
  });
  try {
    for (let turn = 0; turn < 600 && !isDone(); turn++) {
      await system.sweep();
      await system.drain();
      ahead += 60_000;
    }
    if (!isDone()) throw new Error('after ten hours there is still work to do');
  } finally {
    await look.close();
    await system.close();
    await engines.close();
  }
  return stage;
}

/** Reads the store file into the judge, and ties the provider's books to the actions. */
export async function judgeOf(folder: string, stage: Stage, simulator: Simulator): Promise<Judge> {
  const judge = createJudge(stage.policy);
  const table = openSqliteTable({ path: join(folder, 'simhook.db'), now: () => epochMs(Date.now()) });
  try {
    for (const { pk, sk } of table.database.prepare('SELECT pk, sk FROM items').all()) {
      const item = await table.get({ pk: String(pk), sk: String(sk) });
      // What is read is the last write of each row, which may not be its first.
      if (item !== null) onWritten(judge, [{ kind: 'replace', item, ifVersion: item.version }]);
    }
    await readCaps(judge, table, stage);
  } finally {
    await table.close();
  }
  for (const purchase of simulator.orders()) {
    const byReference = purchase.reference === null ? null : `act_${purchase.reference}`;
    // CSSS takes no number of ours; in this test a SIM of it has one cause to buy, and so one action.
    const bySim = [...judge.actions.values()].find(({ subject }) => subject.simId === purchase.simId);
    judge.purchases.push({ purchase, actionId: byReference ?? bySim?.actionId ?? null });
  }
  return judge;
}

async function readCaps(judge: Judge, table: SqliteTable, stage: Stage): Promise<void> {
  for (const { id } of stage.providers) {
    const page = await table.query(
      { from: 'partition', pk: capDayKey(id, '').pk },
      { limit: 100, cursor: null },
    );
    for (const item of page.items) {
      const period = item.sk.replace(/^[A-Z]+#/, '');
      judge.capSums.set(`${id} ${period}`, new Map(Object.entries(readRow('capSums', item))));
    }
  }
}
