import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { SecretSource } from '../../shared/platform/secret-source.ts';
import type { Stage, StageSecrets } from '../../shared/policy/stage.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import type { OnUnreadable } from '../../shared/store/event-listing.ts';
import type { Table } from '../../shared/store/table.ts';
import { codeOf } from '../local/data-folder.ts';
import { openEmbeddedEngines } from '../local/engines.ts';
import { checkStage, loadStageFile, type StageFile } from '../local/load-stage.ts';
import { loadLocalSecrets, memorySecretSource } from '../local/local-secrets.ts';
import { failed, misused, notFound, OpsError } from './failure.ts';
import type { OpsWorld } from './world.ts';

/** The system that a command works on. The commands can't tell which world it runs in. */
export interface Connection {
  /** How it is called in messages. */
  readonly label: string;
  readonly table: Table;
  /** `events` and `actions-<provider>`. */
  readonly queues: ReadonlyMap<string, WorkQueue>;
  /** Dead-letter queues by the name of their queue. */
  readonly deadLetters: ReadonlyMap<string, WorkQueue>;
  readonly stage: Stage;
  readonly secrets: SecretSource;
  /** Tells the operator of a row that can't be read and is left out. */
  readonly onUnreadable: OnUnreadable;
  close(): Promise<void>;
}

/** What the command line says about where the system is. */
export interface Where {
  /** The local data folder. */
  readonly data: string;
  /** A stage as a JSON or TypeScript file; null takes the stage of `npm start`. */
  readonly stageFile: string | null;
  /** The engines of a deployed stage; null for this machine. */
  readonly deployed: Deployed | null;
}

/** Names and addresses of a deployed stage's engines. */
export interface Deployed {
  readonly table: string;
  readonly region: string;
  /** Address of the DynamoDB engine; null is AWS's own. */
  readonly endpoint: string | null;
  /** Address of the SQS engine; null takes the host of each queue's URL. */
  readonly sqsEndpoint: string | null;
  /** Queue URLs by name. */
  readonly queues: ReadonlyMap<string, string>;
  readonly deadLetters: ReadonlyMap<string, string>;
}

/** Opens the system. Throws OpsError with one line when there is none, or it can't be opened. */
export async function connect(where: Where, world: OpsWorld): Promise<Connection> {
  const stage = await loadStage(where.stageFile, world);
  const secrets = openSecrets(where, stage, world);
  return where.deployed === null
    ? connectLocal(where.data, { stage, secrets, world })
    : connectDeployed(where.deployed, { stage, secrets, world });
}

/** Reads and checks a stage file; null is the stage of `npm start`. Throws OpsError `failed` with a line per problem. */
export async function loadStage(path: string | null, world: OpsWorld): Promise<Stage> {
  return checkStage(await readStageFile(path), world.providers);
}

const moduleSchema = z.object({ default: z.unknown() });

async function readStageFile(path: string | null): Promise<StageFile> {
  if (path === null || !/\.[mc]?[jt]s$/.test(path)) return loadStageFile(path);
  if (!existsSync(path)) throw notFound(`the stage file ${path} does not exist: check the path`);
  try {
    const loaded = moduleSchema.parse(await import(pathToFileURL(resolve(path)).href));
    return { input: loaded.default, fileName: path, text: null };
  } catch (error) {
    throw failed(`the stage file ${path} can't be loaded: ${error instanceof Error ? error.message : error}`);
  }
}

/** Secrets that the stage file brings, then those of the data folder. None is ever made here. */
export function openSecrets(where: Where, stage: Stage, world: OpsWorld): SecretSource {
  const path = join(where.data, 'secrets.json');
  const local: Readonly<Record<string, StageSecrets>> = existsSync(path) ? readSecrets(path, world) : {};
  return memorySecretSource({ ...local, ...stage.secrets });
}

function readSecrets(path: string, world: OpsWorld): Readonly<Record<string, StageSecrets>> {
  try {
    return loadLocalSecrets(path, world.random);
  } catch (error) {
    throw new OpsError('failed', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function connectLocal(
  data: string,
  parts: { readonly stage: Stage; readonly secrets: SecretSource; readonly world: OpsWorld },
): Connection {
  const { stage, secrets, world } = parts;
  const path = join(data, 'simhook.db');
  assertReadable(data, path);
  const engines = openEmbeddedEngines(
    path,
    stage.providers.map((provider) => provider.id),
    world.clock,
  );
  return {
    label: `the data folder ${data}`,
    table: engines.table,
    queues: new Map([
      ['events', engines.events],
      ...[...engines.actions].map(([id, queue]) => [`actions-${id}`, queue] as const),
    ]),
    deadLetters: engines.deadLetters,
    stage,
    secrets,
    onUnreadable: tellUnreadable(world),
    close: () => engines.close(),
  };
}

/** Opening would make an empty store; an operator's question is never the start of a new system. */
function assertReadable(data: string, path: string): void {
  try {
    statSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') {
      throw new OpsError('unreachable', `${path} can't be read (${codeOf(error)}): check its permissions`);
    }
    throw notFound(
      `there is no simhook in the data folder ${data}: start it once with npm start, or name another folder with --data`,
    );
  }
}

/** One line per row, without the list of everything that is wrong with it. */
function tellUnreadable(world: OpsWorld): OnUnreadable {
  return (error) => world.terminal.complain(`left out: ${error.message.split('\n')[0]}\n`);
}

/** How long one call to SQS may take. */
const sqsTimeoutMs = 10_000;

function connectDeployed(
  deployed: Deployed,
  parts: { readonly stage: Stage; readonly secrets: SecretSource; readonly world: OpsWorld },
): Connection {
  const { stage, secrets, world } = parts;
  const { region, endpoint, sqsEndpoint } = deployed;
  const { random, sleep } = world;
  const client = makeDynamoClient({ region, endpoint, credentials: credentialsFor(endpoint) });
  const open = (urls: ReadonlyMap<string, string>): ReadonlyMap<string, WorkQueue> =>
    new Map(
      [...urls].map(([name, queueUrl]) => {
        const sqs = makeSqsClient({
          region,
          endpoint: sqsEndpoint,
          credentials: credentialsFor(sqsEndpoint),
          requestTimeoutMs: sqsTimeoutMs,
        });
        return [name, sqsWorkQueue({ client: sqs, queueUrl, waitSec: 0, random, sleep })];
      }),
    );
  const queues = open(deployed.queues);
  const deadLetters = open(deployed.deadLetters);
  const table = dynamoTable({ client, tableName: deployed.table, random, sleep });
  return {
    label: `the table ${deployed.table} in ${region}`,
    table,
    queues,
    deadLetters,
    stage,
    secrets,
    onUnreadable: tellUnreadable(world),
    close: async () => {
      await Promise.all([...queues.values(), ...deadLetters.values()].map((queue) => queue.close()));
      await table.close();
    },
  };
}

/** An engine on this machine checks no credentials, but the SDK wants some; anywhere else the profile's are taken. */
function credentialsFor(endpoint: string | null): { accessKeyId: string; secretAccessKey: string } | null {
  if (endpoint === null) return null;
  const { hostname } = new URL(endpoint);
  const isLocal = hostname === '127.0.0.1' || hostname === 'localhost' || hostname === '[::1]';
  return isLocal ? { accessKeyId: 'local', secretAccessKey: 'local' } : null;
}

/** The queue of a name; throws OpsError `not-found` with the names that exist. */
export function queueNamed(queues: ReadonlyMap<string, WorkQueue>, name: string): WorkQueue {
  const queue = queues.get(name);
  if (queue) return queue;
  const names = [...queues.keys()].join(', ') || 'none';
  throw notFound(`there is no queue "${name}"; there are: ${names}`);
}

/** Reads `name=url` words of --queue and --dead-letter. Throws OpsError `usage`. */
export function readQueueUrls(option: string, words: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      const url = word.slice(at + 1);
      if (at < 1 || !URL.canParse(url)) throw misused(`${option} is "${word}", but it must be name=url`);
      return [word.slice(0, at), url];
    }),
  );
}
