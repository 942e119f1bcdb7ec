import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { addRun, addTally, emptyTally, failureText, type Tally, tallyText } from './report.ts';
import { runSeed } from './run.ts';

/** `npm run simulate`: many seeds on several processes, or one seed with its whole trace. */
const program = new Command('npm run simulate --')
  .description('Plays the whole system under injected faults, one deterministic schedule a seed.')
  .option('--seed <number>', 'play this seed alone and print its last steps', readNumber)
  .option('--seeds <number>', 'how many seeds to play', readNumber, 200)
  .option('--from <number>', 'the first seed; the time of day unless given', readNumber)
  .option('--jobs <number>', 'processes that share the seeds', readNumber, 1)
  .option('--lines <number>', 'lines of the trace that are printed', readNumber, 60)
  .option('--everything', 'with --seed: trace all workers, not only those that touched what broke', false)
  .option(
    '--breaks-promises',
    'let providers commit later than their profiles say; the money of CSSS is then not asserted',
    false,
  );

function readNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`it must be a whole number, but is "${text}"`);
}

interface Options {
  readonly seed?: number;
  readonly seeds: number;
  readonly from?: number;
  readonly jobs: number;
  readonly lines: number;
  readonly everything: boolean;
  readonly breaksPromises: boolean;
}

/** How often a long run says how far it is. */
const progressEveryMs = 30_000;

async function playOne(seed: number, options: Options): Promise<number> {
  const run = await runSeed(seed, {
    breaksPromises: options.breaksPromises,
    traceLines: options.lines,
    traceAll: options.everything,
  });
  process.stdout.write(`${failureText({ ...run })}\n`);
  return run.violation === null ? 0 : 1;
}

/** Plays every `jobs`-th seed, so that all processes are done at about the same time. */
async function playShare(first: number, options: Options, share: number): Promise<Tally> {
  const tally = emptyTally();
  const startedAt = Date.now();
  let toldAt = startedAt;
  for (let seed = first + share; seed < first + options.seeds; seed += options.jobs) {
    const run = await runSeed(seed, { breaksPromises: options.breaksPromises });
    addRun(tally, run);
    if (run.violation !== null) process.stdout.write(`${failureText(run)}\n\n`);
    if (Date.now() - toldAt < progressEveryMs) continue;
    toldAt = Date.now();
    const rate = (tally.seeds * 1_000) / (toldAt - startedAt);
    process.stderr.write(`process ${share}: ${tally.seeds} seeds, ${rate.toFixed(1)} a second\n`);
  }
  return tally;
}

function playElsewhere(first: number, options: Options, share: number): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const args = ['--seeds', options.seeds, '--from', first, '--jobs', options.jobs].map(String);
    if (options.breaksPromises) args.push('--breaks-promises');
    const child = fork(fileURLToPath(import.meta.url), args, {
      env: { ...process.env, SIMULATE_SHARE: String(share) },
    });
    let tally: Tally | null = null;
    child.on('message', (message) => {
      tally = message as Tally;
    });
    child.on('exit', (code) => {
      if (tally !== null) resolve(tally);
      else reject(new Error(`process ${share} ended with code ${code} and told nothing`));
    });
  });
}

async function playMany(options: Options): Promise<number> {
  const first = options.from ?? Math.floor(Date.now() / 1_000);
  const startedAt = Date.now();
  process.stdout.write(`seeds ${first} to ${first + options.seeds - 1}\n`);
  const shares = Array.from({ length: options.jobs }, (_, share) =>
    options.jobs === 1 ? playShare(first, options, share) : playElsewhere(first, options, share),
  );
  const sum = emptyTally();
  for (const part of await Promise.all(shares)) addTally(sum, part);
  process.stdout.write(`${tallyText(sum, (Date.now() - startedAt) / 1_000)}\n`);
  return sum.failures.length === 0 ? 0 : 1;
}

const options = program.parse().opts<Options>();
const share = process.env.SIMULATE_SHARE;
if (options.seed !== undefined) process.exitCode = await playOne(options.seed, options);
else if (share !== undefined && process.send) {
  process.send(await playShare(options.from ?? 0, options, Number(share)));
  process.disconnect();
} else process.exitCode = await playMany(options);
