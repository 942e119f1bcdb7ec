#!/usr/bin/env node
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/platform/clock.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { providers } from '../../shared/providers/registry.ts';
import { runCli } from './cli.ts';
import { exitCodes } from './failure.ts';
import type { OpsWorld, Terminal } from './world.ts';

/** The process's own edges: the composition root of the command line. */
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The first one asks for an orderly end; the second one means it.
  process.once(signal, () => interrupted.abort());
}
// `simhook events | head` closes the pipe: that is the reader's right, not a fault.
process.stdout.on('error', () => process.exit(exitCodes.ok));

const { stdout, stderr, env } = process;

const terminal: Terminal = {
  write: (text) =>
    new Promise((resolve) => {
      if (stdout.write(text)) resolve();
      else stdout.once('drain', resolve);
    }),
  complain: (text) => void stderr.write(text),
  // Source: no-color.org: NO_COLOR, when set and not empty, switches colour off.
  colour: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
  redraws: stderr.isTTY === true && env.TERM !== 'dumb',
  columns: stdout.isTTY === true ? stdout.columns : null,
};

const world: OpsWorld = {
  terminal,
  clock: systemClock,
  random: systemRandom,
  providers,
  user: userName(),
  signal: interrupted.signal,
  sleep: (ms) => sleep(ms, undefined, { signal: interrupted.signal }).catch(() => undefined),
  readStdin,
};

/** A user without an entry in the system's list has no name there. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

process.exitCode = await runCli(process.argv.slice(2), world);
