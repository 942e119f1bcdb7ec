#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../shared/platform/clock.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { providers } from '../../shared/providers/registry.ts';
import { codeOf, openDataFolder, StartError } from './data-folder.ts';
import { runLocal } from './run-local.ts';

const program = new Command('npm start --')
  .description('Runs the whole of simhook on this machine, with a provider simulator beside it.')
  .option('--port <number>', 'port of the callback addresses; 0 takes a free one', readPort, 8080)
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--data <folder>', 'folder of the store, the queues and the local secrets', '.simhook')
  .option('--stage <file>', 'a stage as JSON instead of infra/stages/local.ts')
  .option('--no-simulator', 'call the addresses that the stage names')
  .option('--exit', 'end after the scene; exit code 0 only if every step happened', false)
  .addOption(
    new Option(
      '--engine <engine>',
      'embedded: one SQLite file; wire: DynamoDB Local and fauxqs, through the real SDK',
    )
      .choices(['embedded', 'wire'])
      .default('embedded'),
  )
  .option('--dynamodb-endpoint <url>', 'with --engine wire: an engine that runs already')
  .option('--sqs-endpoint <url>', 'with --engine wire: an engine that runs already')
  .option('--verbose', 'print the log lines too', false)
  .showHelpAfterError();

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError(`a port is a number from 0 to 65535, but this is "${text}"`);
}

interface Options {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly stage?: string;
  readonly simulator: boolean;
  readonly exit: boolean;
  readonly verbose: boolean;
  readonly engine: 'embedded' | 'wire';
  readonly dynamodbEndpoint?: string;
  readonly sqsEndpoint?: string;
}

async function main(): Promise<number> {
  const options = program.parse().opts<Options>();
  const folder = openDataFolder(options.data);
  try {
    return await runLocal({
      ...options,
      stageFile: options.stage ?? null,
      dynamodbEndpoint: options.dynamodbEndpoint ?? null,
      sqsEndpoint: options.sqsEndpoint ?? null,
      folder,
      providers,
      clock: systemClock,
      random: systemRandom,
      print: (line) => process.stdout.write(`${line}\n`),
    });
  } finally {
    folder.release();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

/** One clear line for what a user can mend; the whole trace for what only a developer can. */
function explain(error: unknown): string {
  if (error instanceof StartError) return `simhook can't start: ${error.message}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return "simhook can't start: the port is in use: stop what listens on it, or choose another one with --port";
    case 'EACCES':
      return "simhook can't start: this port or folder is not allowed for you: choose others with --port and --data";
    case 'ENOSPC':
      return "simhook can't go on: the disk is full: free some room, or choose another folder with --data";
    case 'unavailable':
      return `simhook can't go on: ${error instanceof Error ? error.message : error}`;
    default:
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
