import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { type BuiltBundle, buildAll } from './built-bundles.ts';
import { median } from './measure.ts';
import { type Bench, round } from './report.ts';

const measuredSchema = z.object({ clockMs: z.number(), cpuMs: z.number() });

/** Imports the bundle in an own process and says how long that took: read, compile, run to the end of init. */
const program = (url: string): string => `
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await import(${JSON.stringify(url)});
  const clockMs = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(JSON.stringify({ clockMs, cpuMs: (user + system) / 1000 }));
  process.exit(0);
`;

/** What Lambda and the stack would set for receive. Nothing is called, so nothing needs to exist. */
const environment = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_LAMBDA_FUNCTION_NAME: 'receive',
  STAGE_NAME: 'local',
  TABLE_NAME: 'simhook',
  PROVIDER: 'eiotclub',
  EVENTS_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/123456789012/events',
  ACTIONS_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/123456789012/actions',
  ACTIONS_QUEUE_URLS: '{"eiotclub":"https://sqs.eu-central-1.amazonaws.com/123456789012/actions"}',
  CALLBACK_SECRET_IDS: '{"eiotclub":"a"}',
  API_SECRET_ID: 'a',
  API_SECRET_IDS: '{"eiotclub":"a"}',
  ABSENT_PROVIDERS: '[]',
  LEASE_MS: '90000',
  START_WITHIN_MS: '10000',
};

/** Import and init of each bundle in a fresh process, in turns, and with V8's compile cache filled beforehand. */
export const coldStartBench: Bench = async ({ quick }) => {
  const built = await buildAll();
  try {
    const bundles = [built.clients, built.naive, built.powertools, ...built.functions];
    const samples = new Map(bundles.map(({ name }) => [name, { clock: [], cpu: [], cached: [] } as Samples]));
    for (const bundle of bundles) start(bundle, true);
    for (let turn = 0; turn < (quick ? 2 : 11); turn++) {
      for (const bundle of bundles) {
        const sample = samples.get(bundle.name);
        const cold = start(bundle, false);
        sample?.clock.push(cold.clockMs);
        sample?.cpu.push(cold.cpuMs);
        sample?.cached.push(start(bundle, true).cpuMs);
      }
    }
    const floor = median(samples.get(built.clients.name)?.cpu ?? []);
    return {
      about:
        'Import and init of the built bundles, each time in a fresh process; Node itself starts before the clock does. ' +
        'The last column has the compile cache of an earlier start at hand, which Lambda does not keep by itself.',
      header: ['bundle', 'CPU ms', 'clock ms', 'CPU / clients', 'CPU ms with compile cache'],
      rows: bundles.map(({ name }) => {
        const { clock, cpu, cached } = samples.get(name) ?? { clock: [], cpu: [], cached: [] };
        const cpuMs = median(cpu);
        return [name, round(cpuMs), round(median(clock)), round(cpuMs / floor), round(median(cached))];
      }),
    };
  } finally {
    built.remove();
  }
};

interface Samples {
  readonly clock: number[];
  readonly cpu: number[];
  readonly cached: number[];
}

function start({ name, file }: BuiltBundle, cached: boolean): z.infer<typeof measuredSchema> {
  const entry = join(dirname(file), 'start.mjs');
  writeFileSync(entry, program(pathToFileURL(file).href));
  const cache = cached ? { NODE_COMPILE_CACHE: join(dirname(file), 'cache') } : {};
  const { stdout, stderr, status } = spawnSync(process.execPath, [entry], {
    env: { ...environment, ...cache },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${name} does not start: ${stderr.slice(0, 2_000)}`);
  return measuredSchema.parse(JSON.parse(stdout));
}
