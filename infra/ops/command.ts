import type { Command } from 'commander';
import {
  type Connection,
  connect,
  type Endpoints,
  type Place,
  readQueueUrls,
  type Where,
} from './connect.ts';
import { misused } from './failure.ts';
import { type Output, openOutput } from './output.ts';
import type { OpsWorld } from './world.ts';

/** What a command works with. */
export interface Context {
  readonly world: OpsWorld;
  readonly out: Output;
  readonly where: Where;
  /** Who did it, for the notes. */
  readonly by: string;
}

/** Options that every command takes. */
interface GlobalOptions {
  readonly data: string;
  readonly stageFile?: string;
  readonly stage?: string;
  readonly table?: string;
  readonly region?: string;
  readonly endpoint?: string;
  readonly sqsEndpoint?: string;
  readonly controlEndpoint?: string;
  readonly queue: readonly string[];
  readonly deadLetter: readonly string[];
  readonly by?: string;
  readonly json: boolean;
}

/** Adds the options that say where the system is and how to print. */
export function withGlobalOptions(program: Command): Command {
  const collect = (word: string, words: readonly string[]): readonly string[] => [...words, word];
  return program
    .option('--data <folder>', 'data folder of the local system', '.simhook')
    .option(
      '--stage-file <file>',
      'the stage that runs, as JSON or TypeScript, where it is not infra/stages/<stage>.ts, or local.ts without --stage',
    )
    .option('--stage <name>', 'a deployed stage, found through the outputs of its stack')
    .option('--region <region>', 'its AWS region, where neither the stage file nor your profile names it')
    .option('--table <name>', 'engines one by one instead of a stage: the DynamoDB table, with --region')
    .option('--queue <name=url>', 'with --table: a queue; may be repeated', collect, [])
    .option('--dead-letter <name=url>', 'with --table: a dead-letter queue; may be repeated', collect, [])
    .option('--endpoint <url>', 'address of the DynamoDB engine, where it is not AWS')
    .option('--sqs-endpoint <url>', 'address of the SQS engine, where it is not AWS')
    .option(
      '--control-endpoint <url>',
      'address of CloudFormation, Secrets Manager and Parameter Store, where it is not AWS',
    )
    .option('--by <name>', 'who does it, in the notes; default: your user name')
    .option('--json', 'print JSON, one document a line', false);
}

export interface CommandText {
  readonly name: string;
  readonly description: string;
  /** At least one line that works as printed. */
  readonly examples: readonly string[];
  /** More to say, after the options. */
  readonly more?: string;
}

/** Makes a subcommand whose help ends with examples. */
export function addCommand(parent: Command, text: CommandText): Command {
  const examples = text.examples.map((example) => `  $ ${example}`).join('\n');
  const more = text.more === undefined ? '' : `\n${text.more}\n`;
  return parent
    .command(text.name)
    .description(text.description)
    .addHelpText('after', `${more}\nExample${text.examples.length > 1 ? 's' : ''}:\n${examples}`);
}

/** Reads the shared options of the command that runs. */
export function contextOf(command: Command, world: OpsWorld): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  return {
    world,
    out: openOutput(world.terminal, options.json),
    where: {
      data: options.data,
      stageFile: options.stageFile ?? null,
      place: placeOf(options),
    },
    by: options.by ?? world.user,
  };
}

function placeOf(options: GlobalOptions): Place {
  const { stage, table, region = null, endpoint, sqsEndpoint, controlEndpoint } = options;
  const endpoints: Endpoints = {
    control: readUrl('--control-endpoint', controlEndpoint),
    dynamo: readUrl('--endpoint', endpoint),
    sqs: readUrl('--sqs-endpoint', sqsEndpoint),
  };
  if (table === undefined) {
    return stage === undefined ? { kind: 'local' } : { kind: 'stage', name: stage, region, endpoints };
  }
  if (region === null) throw misused(`--table ${table} needs --region, such as eu-central-1`);
  return {
    kind: 'engines',
    engines: {
      table,
      region,
      endpoint: endpoints.dynamo,
      sqsEndpoint: endpoints.sqs,
      queues: readQueueUrls('--queue', options.queue),
      deadLetters: readQueueUrls('--dead-letter', options.deadLetter),
    },
  };
}

function readUrl(option: string, url: string | undefined): string | null {
  if (url === undefined) return null;
  if (!URL.canParse(url)) throw misused(`${option} is "${url}", but it must be a URL`);
  return url;
}

/** Opens the system, works on it, and closes it whatever happens. */
export async function withConnection<T>(
  context: Context,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(context.where, context.world);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
