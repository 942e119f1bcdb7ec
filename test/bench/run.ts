import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { fullEffort, quickEffort } from './measure.ts';
import { type Bench, type BenchReport, printReport } from './report.ts';

/*
 * npm run bench [-- name...]: each bench in its own file, measured one after the other. Results also go to
 * results.json, those of benches that were not run are kept.
 */

/** Loaded one at a time, so that no bench carries the others' libraries. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  verify: async () => (await import('./verify.ts')).verifyBench,
  receive: async () => (await import('./receive.ts')).receiveBench,
  'receive-http': async () => (await import('./receive-http.ts')).receiveHttpBench,
  'decide-act': async () => (await import('./decide-act.ts')).decideActBench,
  cost: async () => (await import('./cost.ts')).costBench,
  'cold-start': async () => (await import('./cold-start.ts')).coldStartBench,
  'bundle-size': async () => (await import('./bundle-size.ts')).bundleSizeBench,
  burst: async () => (await import('./burst.ts')).burstBench,
  coalescing: async () => (await import('./coalescing.ts')).coalescingBench,
  scale: async () => (await import('./scale.ts')).scaleBench,
};

const resultsFile = fileURLToPath(new URL('results.json', import.meta.url));

interface Results {
  readonly machine: string;
  readonly benches: Readonly<Record<string, BenchReport & { readonly ranAt: string }>>;
}

const program = new Command('npm run bench --')
  .description('Measures simhook against floors and alternatives.')
  .argument('[names...]', `benches to run: ${Object.keys(benches).join(', ')}; all when none is named`)
  .option('--quick', 'small sizes and few rounds, to see that all works; writes no results', false)
  .parse();
const { quick } = program.opts<{ quick: boolean }>();
const names = program.args.length > 0 ? program.args : Object.keys(benches);
const unknown = names.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) program.error(`no bench is called ${unknown.join(', ')}`);

process.stdout.write(`${machine()}\n`);
for (const name of names) {
  const bench = await benches[name]?.();
  if (bench === undefined) continue;
  const report = await bench({ effort: quick ? quickEffort : fullEffort, quick });
  process.stdout.write(printReport(name, report));
  if (!quick) keep(name, report);
}
process.exit(0);

function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} x ${cpu?.model ?? 'unknown CPU'}, Node ${process.version}, ${process.platform} ${process.arch}`;
}

function keep(name: string, report: BenchReport): void {
  const before: Results = existsSync(resultsFile)
    ? JSON.parse(readFileSync(resultsFile, 'utf8'))
    : { machine: '', benches: {} };
  const ranAt = new Date().toISOString().slice(0, 16);
  const results: Results = {
    machine: machine(),
    benches: { ...before.benches, [name]: { ranAt, ...report } },
  };
  writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`);
  // The file is committed, so it keeps the project's format.
  spawnSync('npx', ['--no', 'biome', 'format', '--write', resultsFile], { stdio: 'ignore' });
}
